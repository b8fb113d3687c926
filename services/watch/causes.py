"""What raises an incident: of each cause what it means for the tables, and what to type; docs/alerts.md has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

LOOK_SECONDS = 20.0
"""From one look of the watch to the next."""


@dataclass(frozen=True)
class Cause:
    """A cause of incidents.

    Args:
        begins: when it is reported, for the documentation.
        ends: when it is over, for the documentation.
        impact: what it means for the tables.
        command: what to type, as a shell takes it.
        advice: when to type it, or what else to do.
        known: when it can be known at the earliest, for the documentation.
        seconds: how long it must have lasted, since a restart or a moment's silence is not worth a message.
        settling: how many seconds after the watch's start, or after Prefect's server has come back, it is reported at
            the earliest: what it is about starts at the same time.
    """

    begins: str
    ends: str
    impact: str
    command: str
    known: str
    advice: str = ""
    seconds: float = 0
    settling: float = 0

    @property
    def told(self) -> float:
        """The most seconds from when it can be known until its message is sent."""
        return LOOK_SECONDS * (1 + ceil(self.seconds / LOOK_SECONDS))


@dataclass(frozen=True)
class Finding:
    """What a probe sees of an incident: its key, and what has happened to what."""

    kind: str
    subject: str
    what: str
    where: str
    since: datetime | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """What else the command names."""
    command: str = ""
    """What to type, where that is not the cause's command; a template of the same names."""

    @property
    def key(self) -> str:
        """What and which."""
        return f"{self.kind}/{self.subject}"


def table() -> str:
    """The causes as docs/alerts.md has them."""
    rows = [
        f"| `{kind}` | {each.begins} | {each.ends} | {each.impact} | `{each.command.format(**PLAIN)}`"
        f"{each.advice and ', '}{each.advice.format(**PLAIN)} |"
        for kind, each in CAUSES.items()
    ]
    head = "| kind | it begins when | it is over when | what it means for the tables | what to type |"
    return "\n".join([head, "| --- | --- | --- | --- | --- |", *rows])


def times() -> str:
    """When each cause can be known and how long after that it is reported, as docs/alerts.md has it."""
    rows = [f"| `{kind}` | {each.known} | {each.told:.0f} s |" for kind, each in CAUSES.items()]
    return "\n".join(["| kind | it can be known | it is reported within |", "| --- | --- | --- |", *rows])


PLAIN = {"profile": "", "subject": "NAME", "flow": "FLOW", "batch": "BATCH"}
LATER = "New rows do not reach the tables until this is over. What readers have stays as it is."

CAUSES: dict[str, Cause] = {
    "run_failed": Cause(
        "A run failed or crashed, and nothing will retry it. Further runs that fail for the same reason are the same "
        "incident.",
        "A later run of the same flow (or of `full_pipeline`), connection and selection completes, or one of "
        "everything.",
        "Rows that the run could not load or publish are missing from the tables.",
        "make run FLOW={flow}{profile}",
        "when the run ends; where its process died, 60 s later, since it may be retried",
        advice="once the cause is fixed",
    ),
    "batch_parked": Cause(
        "The sensor has parked a batch of files after its last attempt. Batches that are parked for one reason are one "
        "incident.",
        "Each of the batches has gone through, or a person has had them forgotten.",
        "The rows of the batch's files are missing from the tables.",
        'make cursor{profile} ARGS="release {batch}"',
        "when the sensor parks the batch",
        advice="once the cause is fixed; forget instead of release if there is nothing left to load",
    ),
    "publication_refused": Cause(
        "Tests or models failed in a run that nothing will retry, or in a batch's last attempt; nothing is published.",
        "A later run of the same flow (or of `full_pipeline`) and selection completes, or one of everything; for a "
        "batch, it has gone through "
        "or is forgotten.",
        "Readers keep the tables that passed their tests last.",
        "make run FLOW={flow}{profile}",
        "when the run ends; for a batch, when the sensor parks it",
        advice="once the data or the model is fixed",
    ),
    "source_stale": Cause(
        "A source's newest row is older than FRESHNESS_THRESHOLD_HOURS; looked at also while no run comes.",
        "A run has loaded newer rows.",
        "The tables are complete up to that age, and older than they should be.",
        "make run FLOW=full_pipeline{profile}",
        "when the newest row passes the threshold",
        seconds=60,
        advice="if make status shows no failed batch",
    ),
    "run_late": Cause(
        "A run has waited for its start for ALERT_LATE_MINUTES, although a worker is there.",
        "It has started, or was cancelled.",
        LATER,
        "make logs SERVICE=worker{profile}",
        "ALERT_LATE_MINUTES after the run was due",
        seconds=60,
        settling=180,
    ),
    "worker_gone": Cause(
        "No worker of a work pool has sent a heartbeat for 45 s.",
        "A worker asks again.",
        LATER,
        "make up{profile}",
        "after 45 s without a heartbeat, which the worker sends every 15 s",
        seconds=40,
        settling=90,
    ),
    "pool_paused": Cause(
        "A work pool, or one of its queues, is paused.",
        "It is resumed.",
        LATER,
        "prefect work-pool resume {subject}",
        "at once",
        advice="or use the switch on the pool's page",
        seconds=60,
    ),
    "pool_gone": Cause(
        "A work pool that the platform registered is missing from the server.",
        "The pool is back on the server.",
        LATER,
        "make up{profile}",
        "at once",
        seconds=60,
    ),
    "schedule_off": Cause(
        "A deployment or its schedule is switched off, but prefect.yaml does not switch it off.",
        "Someone switches it on again, or prefect.yaml now says `active: false` or `paused: true`.",
        "The schedule starts no run, so the tables become outdated.",
        "prefect deployment schedule resume FLOW/{subject} ID",
        "at once",
        advice="or use the switch on the deployment's page",
        seconds=60,
    ),
    "deployment_gone": Cause(
        "A deployment that the platform registered is missing from the server.",
        "The deployment is back on the server.",
        "Neither its schedule nor the sensor can start it.",
        "make up{profile}",
        "at once",
        seconds=60,
    ),
    "run_slow": Cause(
        "A run takes more than three times the median of the deployment's last completed runs (and at least 60 s).",
        "It has ended.",
        LATER,
        "make logs SERVICE=worker{profile}",
        "when the run passes three times its usual time, and 60 s",
        seconds=40,
        settling=180,
    ),
    "drift": Cause(
        "A test of the last build warns: values do not fit the declared types, keys are not unique, and the like.",
        "The last build that ran the test has no such warning.",
        "The tables are published. Values of another type are null; of rows with one key, the newest counts.",
        'make dbt ARGS="show --select {subject} --output json"',
        "when the build ends",
        advice="which shows the first rows; the artifact `drift` of the run says what to type to decide",
    ),
    "volume_fall": Cause(
        "A stream's last 20 hours had fewer rows than ALERT_VOLUME_PERCENT of the same hours of the week before.",
        "The rows are back at the usual number.",
        "The tables may be incomplete for these hours.",
        "make status{profile}",
        "when the load ends that makes it so",
    ),
    "sensor_silent": Cause(
        "The sensor has given no sign of life for 45 s: it has stopped, or S3 does not answer it.",
        "It looks again.",
        "New files stay in the bucket. None is lost.",
        "make logs SERVICE=sensor{profile}",
        "45 s after the sensor's last sign of life, which it gives at least every 20 s",
        seconds=60,
        settling=90,
        advice="then make up{profile}",
    ),
    "disk_low": Cause(
        "A disk of the platform has less than ALERT_DISK_GB free.",
        "It has a tenth more than that free.",
        "The next load, build or publication may fail. What readers have stays as it is.",
        "docker system df; docker image prune",
        "at once",
    ),
    "secret_expiring": Cause(
        "A secret ends within ALERT_SECRET_DAYS: by the `exp` of a token, the end of a certificate, or SECRETS_EXPIRE.",
        "It is replaced by one that lasts longer.",
        "Once it has ended, runs fail and the tables grow old.",
        "make promote{profile} APPLY=1",
        "ALERT_SECRET_DAYS before the end",
        advice="once the new secret is in profiles/secrets/",
    ),
    "prefect_silent": Cause(
        "Prefect's server, or its database, has not answered for a minute.",
        "It answers again.",
        "No run starts or ends properly until then. What readers have stays as it is.",
        "make logs SERVICE=prefect-server{profile}",
        "when a request fails, or is not answered within 15 s",
        seconds=60,
        advice="then make up{profile}",
    ),
}

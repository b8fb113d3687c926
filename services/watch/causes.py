"""The causes of incidents: what each means for the tables, and what to type. docs/alerts.md shows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

LOOK_SECONDS = 20.0
"""The time between two checks of the watch."""


@dataclass(frozen=True)
class Cause:
    """A cause of incidents.

    Args:
        begins: when it is reported, for the documentation.
        ends: when it is over, for the documentation.
        impact: what it means for the tables.
        command: what to type in a shell.
        advice: when to type it, or what else to do.
        known: when it can first be known, for the documentation.
        seconds: how long it must last before it is reported, so that a restart or a short silence sends no message.
        settling: how many seconds to wait after the watch starts, or after Prefect's server comes back. The monitored
            services may be starting then, too.
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
    def reported_within(self) -> float:
        """The maximum time from when it can be known until its message is sent, in seconds."""
        return LOOK_SECONDS * (1 + ceil(self.seconds / LOOK_SECONDS))


@dataclass(frozen=True)
class Finding:
    """What a probe finds: the kind of incident, its subject, and what happened."""

    kind: str
    subject: str
    what: str
    where: str
    since: datetime | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """More values for the command's template."""
    command: str = ""
    """A template that replaces the cause's command."""

    @property
    def key(self) -> str:
        """The incident's key: kind and subject."""
        return f"{self.kind}/{self.subject}"


def table() -> str:
    """Return the table of causes in docs/alerts.md."""
    rows = [
        f"| `{kind}` | {each.begins} | {each.ends} | {each.impact} | `{each.command.format(**PLACEHOLDERS)}`"
        f"{each.advice and ', '}{each.advice.format(**PLACEHOLDERS)} |"
        for kind, each in CAUSES.items()
    ]
    head = "| kind | it begins when | it is over when | what it means for the tables | what to type |"
    return "\n".join([head, "| --- | --- | --- | --- | --- |", *rows])


def times() -> str:
    """Return the table of reporting times in docs/alerts.md."""
    rows = [f"| `{kind}` | {each.known} | {each.reported_within:.0f} s |" for kind, each in CAUSES.items()]
    return "\n".join(["| kind | it can be known | it is reported within |", "| --- | --- | --- |", *rows])


PLACEHOLDERS = {"profile": "", "platform": "", "subject": "NAME", "flow": "FLOW", "batch": "BATCH"}
LATER = "New rows do not reach the tables until this is over. Published tables do not change."

CAUSES: dict[str, Cause] = {
    "run_failed": Cause(
        "A run failed or crashed, and nothing will retry it. Further runs that fail for the same reason are the same "
        "incident.",
        "A later run of the same flow (or of `full_pipeline`), connection and selection completes, or a run of "
        "everything.",
        "Rows that the run could not load or publish are missing from the tables.",
        "make run FLOW={flow}{profile}",
        "when the run ends; if its process died, 60 s later, because it may be retried",
        advice="once the cause is fixed",
    ),
    "batch_parked": Cause(
        "The sensor has parked a batch of files after its last attempt. Batches parked for the same reason are one "
        "incident.",
        "Each of the batches has been loaded, or a person has told the sensor to forget it.",
        "The rows of the batch's files are missing from the tables.",
        'make cursor{profile} ARGS="release {batch}"',
        "when the sensor parks the batch",
        advice="once the cause is fixed; forget instead of release if there is nothing left to load",
    ),
    "publication_refused": Cause(
        "Tests or models failed in a run that nothing will retry, or in a batch's last attempt; nothing is published.",
        "A later run of the same flow (or of `full_pipeline`) and selection completes, or a run of everything; for a "
        "batch, it has been loaded or forgotten.",
        "Readers keep the last tables that passed their tests.",
        "make run FLOW={flow}{profile}",
        "when the run ends; for a batch, when the sensor parks it",
        advice="once the data or the model is fixed",
    ),
    "source_stale": Cause(
        "A source's newest row is older than FRESHNESS_THRESHOLD_HOURS. This is also checked while nothing runs.",
        "A run has loaded newer rows.",
        "The tables are complete up to that row, but older than they should be.",
        "make run FLOW=full_pipeline{profile}",
        "when the newest row passes the threshold",
        seconds=60,
        advice="if make status shows no failed batch",
    ),
    "run_late": Cause(
        "A run has waited to start for ALERT_LATE_MINUTES, although a worker is online.",
        "The run has started, or was cancelled.",
        LATER,
        "make logs SERVICE=worker{profile}",
        "ALERT_LATE_MINUTES after the run was due",
        seconds=60,
        settling=180,
    ),
    "worker_gone": Cause(
        "No worker of a work pool has sent a heartbeat for 45 s.",
        "A worker sends heartbeats again.",
        LATER,
        "make up{profile}",
        "after 45 s without a heartbeat; the worker sends one every 15 s",
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
        "A deployment or its schedule is switched off, but not by prefect.yaml.",
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
        "The run has ended.",
        LATER,
        "make logs SERVICE=worker{profile}",
        "when the run has taken three times its usual time, and at least 60 s",
        seconds=40,
        settling=180,
    ),
    "drift": Cause(
        "A test of the last build warns: values do not fit the declared types, keys are not unique, and the like.",
        "The last build that ran the test has no such warning.",
        "The tables are published. Values of another type are null; of rows with the same key, the newest is used.",
        'make dbt{platform} ARGS="show --select {subject} --output json"',
        "when the build ends",
        advice="which shows the first rows; the run's artifact `drift` lists commands to fix it",
    ),
    "volume_fall": Cause(
        "A stream's last 20 hours had fewer rows than ALERT_VOLUME_PERCENT of the same hours of the week before.",
        "The rows are back at the usual number.",
        "The tables may be incomplete for these hours.",
        "make status{profile}",
        "when the load ends",
    ),
    "sensor_silent": Cause(
        "The sensor has sent no heartbeat for 45 s: it has stopped, or S3 does not answer it.",
        "The sensor sends heartbeats again.",
        "New files stay in the bucket. None is lost.",
        "make logs SERVICE=sensor{profile}",
        "45 s after the sensor's last heartbeat; it sends one at least every 20 s",
        seconds=60,
        settling=90,
        advice="then make up{profile}",
    ),
    "disk_low": Cause(
        "A disk of the platform has less than ALERT_DISK_GB free.",
        "The disk has 10% more than that free.",
        "The next load, build or publication may fail. Published tables do not change.",
        "docker system df; docker image prune",
        "at once",
    ),
    "secret_expiring": Cause(
        "A secret expires within ALERT_SECRET_DAYS, by a token's `exp`, a certificate's end, or SECRETS_EXPIRE.",
        "It is replaced by one that lasts longer.",
        "Once it has expired, runs fail and the tables become outdated.",
        "make promote{profile} APPLY=1",
        "ALERT_SECRET_DAYS before it expires",
        advice="once the new secret is in profiles/secrets/",
    ),
    "prefect_silent": Cause(
        "Prefect's server, or its database, has not answered for a minute.",
        "It answers again.",
        "No run starts or ends properly until then. Published tables do not change.",
        "make logs SERVICE=prefect-server{profile}",
        "when a request fails, or gets no answer within 15 s",
        seconds=60,
        advice="then make up{profile}",
    ),
}

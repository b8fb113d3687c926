"""Find runs that failed for good and parked batches. All with the same reason are one incident."""

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from blocks.attempts import may_be_retried
from blocks.batches import Batches, Failed
from blocks.errors import PlatformError, counted
from blocks.landing import CURSORS, NOT_S3, AwsAccess, s3_client, unavailable
from blocks.parked import ParkedStore
from services.watch.causes import CAUSES, PLACEHOLDERS, Finding
from services.watch.prefect_api import Json, moment
from services.watch.probe import Facts
from services.watch.reasons import Reason, reason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROBE = "failures"
LOOK_BACK = timedelta(minutes=10)
"""How long before the last check to look for ended runs: a crashed run may still be retried for a minute."""
MOST_EVIDENCE = 50
MOST_NAMED = 5
"""How many batches a command names; for more, it has a placeholder."""
S3_SECONDS = 5.0
"""How long a check waits for S3."""
PARKED = ".parked/"
ENDED = ("FAILED", "CRASHED")
BATCHES = "batches-"
"""The prefix of an incident's subject for parked batches, whose command differs from that for runs."""


@dataclass
class Failure:
    """A failed run or a parked batch, with its reason.

    `evidence` maps `run ID` to its end, flow, connections and selection, or `batch FOLDER ID` to its number of files.
    `others` says that the run's own files are loaded, and the sync failed on other files.
    """

    reason: Reason
    flow: str = ""
    others: bool = False
    where: str = ""
    since: datetime | None = None
    evidence: dict[str, str] = field(default_factory=dict)


def failures(facts: Facts) -> list[Finding]:
    """Return a finding for each reason why runs failed for good or batches are parked, until it is known to be over."""
    found: dict[str, Finding] = {}
    for incident in facts.open(PROBE):
        found[_id(incident.key)] = Finding(
            incident.kind, _id(incident.key), incident.what, incident.where, incident.since, incident.evidence
        )
    parked = list(_parked(facts))
    newest = {name: f"{BATCHES}{each.reason.id}" for each in parked for name in each.evidence}
    for failure in [*_runs(facts), *parked]:
        id_ = failure.reason.id if failure.flow else f"{BATCHES}{failure.reason.id}"
        old = found.get(id_)
        evidence = {**(old.evidence if old else {}), **failure.evidence}
        evidence = dict(list(evidence.items())[-MOST_EVIDENCE:])
        made = old or Finding(
            _kind(failure), id_, _what(failure), failure.where, failure.since, names={"flow": failure.flow}
        )
        found[id_] = replace(made, evidence=evidence)
    held = _valid_evidence(facts, {name: text for each in found.values() for name, text in each.evidence.items()})
    left = [replace(each, evidence=_remaining(id_, each.evidence, held, newest)) for id_, each in found.items()]
    return [_with_batches(each) for each in left if each.evidence]


def _remaining(
    id_: str, evidence: Mapping[str, str], held: Container[str], newest: Mapping[str, str]
) -> Mapping[str, str]:
    """Return a finding's remaining evidence. A batch that was parked again for another reason moves to that finding."""
    return {name: text for name, text in evidence.items() if name in held and newest.get(name, id_) == id_}


def _with_batches(finding: Finding) -> Finding:
    """If the finding is about batches, name them in its command."""
    if not finding.subject.startswith(BATCHES):
        return finding
    ids = [name.rpartition(" ")[2] for name in finding.evidence]
    named = {"batch": " ".join(ids) if len(ids) <= MOST_NAMED else PLACEHOLDERS["batch"]}
    return replace(finding, names=named, command=CAUSES["batch_parked"].command)


def _id(key: str) -> str:
    return key.rpartition("/")[2]


def _kind(failure: Failure) -> str:
    if failure.reason.is_refusal:
        return "publication_refused"
    return "run_failed" if failure.flow else "batch_parked"


def _what(failure: Failure) -> str:
    error = failure.reason
    if failure.others:
        return f"A sync failed, but not on the files of its run, which are published: {error.error}: {error.text}"
    if failure.flow:
        return f"A run of {failure.flow} failed, and nothing retries it: {error.error}: {error.text}"
    return f"A batch of files is parked after its last attempt failed: {error.error}: {error.text}"


def _runs(facts: Facts) -> Iterator[Failure]:
    """Yield runs of the platform's deployments that failed or crashed since the last check and will not be retried."""
    since = max(facts.state.began, facts.state.looked - LOOK_BACK)
    for run in facts.prefect.all(
        "/flow_runs/filter", {"flow_runs": _ended(facts, ENDED, since), "sort": "END_TIME_DESC"}
    ):
        state = run["state"]
        if not run.get("deployment_id") or may_be_retried(
            state["type"], state.get("message"), moment(state["timestamp"]), facts.now
        ):
            continue
        why = reason(state["name"], state.get("message") or "")
        text = state.get("message") or ""
        others = " OthersFailed: " in text
        if why.error == "StaleSource" or (_is_batch(run) and not others):
            continue  # source_stale reports the first; the sensor retries or parks the batch of the second
        at = run.get("end_time") or state["timestamp"]
        flow = facts.prefect.flow_name(run["flow_id"])
        evidence = {f"run {run['id']}": json.dumps([at, run["flow_id"], connections(run), selection(run)])}
        where = f"run {run['name']}, {facts.prefect.page('/runs/flow-run/' + run['id'])}"
        yield Failure(why, flow, others, where, moment(at), evidence)


def _ended(facts: Facts, types: tuple[str, ...], since: datetime) -> Json:
    return {
        "tags": {"all_": [facts.names.tag]},
        "state": {"type": {"any_": list(types)}},
        "end_time": {"after_": since.isoformat()},
        "parent_task_run_id": {"is_null_": True},
    }


def _is_batch(run: Json) -> bool:
    """Return whether the sensor started the run, because then the sensor retries it."""
    return bool((run.get("parameters") or {}).get("files")) and bool(run.get("idempotency_key"))


def connections(run: Json) -> list[str]:
    """Return the connections that a run syncs; [] for the profile's own."""
    return sorted((run.get("parameters") or {}).get("connection_ids") or [])


def selection(run: Json) -> str:
    """Return the dbt selection that a run builds; "" for everything."""
    return (run.get("parameters") or {}).get("select") or ""


def _valid_evidence(facts: Facts, evidence: Mapping[str, str]) -> set[str]:
    """Return the evidence that is still valid: runs without a later completed run, and batches that are still open."""
    runs = {name: json.loads(text) for name, text in evidence.items() if name.startswith("run ")}
    batches = {name for name in evidence if name.startswith("batch ")}
    held = _open_batches(facts, batches) if batches else set()
    if not runs:
        return held
    ids = [name.removeprefix("run ") for name in runs]
    there = facts.prefect.ask("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": ids}}, "limit": 200}) or []
    bad = {f"run {each['id']}" for each in there if each["state_type"] in ENDED}
    oldest = min(moment(at) for at, *_ in runs.values())
    wanted = {"flow_runs": _ended(facts, ("COMPLETED",), oldest), "sort": "END_TIME_DESC"}
    done = list(facts.prefect.all("/flow_runs/filter", wanted))
    over = {name for name, run in runs.items() if any(_resolves(facts, each, run) for each in done)}
    return held | (bad & (runs.keys() - over))


def _resolves(facts: Facts, done: Json, failed: list[Any]) -> bool:
    """Return whether a completed run of the same flow, or of one that contains it, shows that a failure is over."""
    at, flow_id, ids, *selected = failed
    name = facts.prefect.flow_name
    same_flow = done["flow_id"] == flow_id or (
        name(done["flow_id"]) == "full_pipeline" and name(flow_id) in ("airbyte_sync", "dbt_transform")
    )
    own = connections(done)
    same = not own or not ids or not set(own).isdisjoint(ids)
    same = same and selection(done) in ("", *selected)
    return bool(same_flow and same and moment(done["end_time"]) > moment(at))


def _parked(facts: Facts) -> Iterator[Failure]:
    """Yield the parked batches of every sensor of the landing bucket."""
    try:
        s3, bucket = _s3(facts)
        for folder in _folders(s3, bucket):
            store = ParkedStore(s3, bucket, folder)
            for failed in store.read([each.key for each in store.parked_objects()[:MOST_EVIDENCE]]):
                yield _parked_failure(folder, failed)
    except PlatformError:
        return  # known batches stay open (see _open_batches), and sensor_silent reports that S3 does not answer


def _parked_failure(folder: str, failed: Failed) -> Failure:
    state, _, message = failed.reason.partition(": ")
    evidence = {f"batch {folder} {failed.batch.id}": str(len(failed.batch.files))}
    files = failed.batch.files
    where = f"batch {failed.batch.id} of {counted(len(files), 'file')}, first {files[0].key}; make status"
    return Failure(reason(state, message), where=where, evidence=evidence)


def _open_batches(facts: Facts, batches: set[str]) -> set[str]:
    """Return the batches that are parked, released or being retried; all of them if S3 does not answer."""
    known: set[str] = set()
    try:
        s3, bucket = _s3(facts)
        for folder in {name.split(" ")[1] for name in batches}:
            known |= {f"batch {folder} {id_}" for id_ in _ids(s3, bucket, folder)}
    except PlatformError:
        return batches
    return batches & known


def _ids(s3: "S3Client", bucket: str, folder: str) -> Iterator[str]:
    store = ParkedStore(s3, bucket, folder)
    yield from (each.key.removeprefix(store.parked)[:12] for each in store.parked_objects())
    if released := store.next_released():
        yield released[1].batch.id
    try:
        cursor = s3.get_object(Bucket=bucket, Key=f"{folder}.json")["Body"].read()
        own = Batches.model_validate(
            {name: value for name, value in json.loads(cursor).items() if name in Batches.model_fields}
        )
    except s3.exceptions.NoSuchKey:
        return
    except NOT_S3 as error:
        raise unavailable(bucket, error) from error
    yield from (each.batch.id for each in own.accepted)
    yield from (each.batch.id for each in own.failed)
    if own.pending:
        yield own.pending.id


def _s3(facts: Facts) -> tuple["S3Client", str]:
    bucket, access = facts.landing()
    return _client(bucket, access), bucket


@lru_cache(maxsize=1)
def _client(bucket: str, access: AwsAccess) -> "S3Client":
    """Return a client with short timeouts, because no other cause is checked while it waits.

    It takes several MB and some 0.1 s to create, so it is cached.
    """
    return s3_client(bucket, access, attempts=1, seconds=S3_SECONDS)


def _folders(s3: "S3Client", bucket: str) -> Iterator[str]:
    """Yield the key prefix of each cursor's parked batches, up to `.parked/`."""
    for first in _below(s3, bucket, CURSORS):
        inner = [first] if first.endswith(PARKED) else _below(s3, bucket, first)
        yield from (each.removesuffix(PARKED) for each in inner if each.endswith(PARKED))


def _below(s3: "S3Client", bucket: str, prefix: str) -> list[str]:
    try:
        answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
        return [each["Prefix"] for each in answer.get("CommonPrefixes", [])]
    except NOT_S3 as error:
        raise unavailable(bucket, error) from error

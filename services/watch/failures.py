"""Runs that failed for good, and batches that are parked: one incident each for a reason, however many there are."""

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from blocks.attempts import may_come_back
from blocks.batches import Batches, Failed
from blocks.errors import PlatformError, counted
from blocks.landing import CURSORS, NOT_S3, AwsAccess, s3_client, unavailable
from blocks.parked import ParkedStore
from services.watch.causes import CAUSES, PLAIN, Finding
from services.watch.prefect_api import Json, moment
from services.watch.probe import Facts
from services.watch.reasons import Reason, reason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROBE = "failures"
BACK = timedelta(minutes=10)
"""How far before the last look a run may have ended and still be found: a crash may be retried for a minute."""
MOST_EVIDENCE = 50
MOST_NAMED = 5
"""Batches that a command names; of more, it says how one is named."""
S3_SECONDS = 5.0
"""How long a look waits for an answer of S3."""
PARKED = ".parked/"
ENDED = ("FAILED", "CRASHED")
BATCHES = "batches-"
"""How the subject of an incident of parked batches begins: what to type is other than for a run of the same reason."""


@dataclass
class Seen:
    """What speaks for one reason: runs (their ids, with when they ended, flow and connections) and batches.

    `others` says that a run's own files are loaded, and the sync failed on others.
    """

    reason: Reason
    flow: str = ""
    others: bool = False
    where: str = ""
    since: datetime | None = None
    evidence: dict[str, str] = field(default_factory=dict)


def failures(facts: Facts) -> list[Finding]:
    """Every reason for which runs failed for good, or batches are parked, until it is known to be over."""
    found: dict[str, Finding] = {}
    for incident in facts.open(PROBE):
        found[_id(incident.key)] = Finding(
            incident.kind, _id(incident.key), incident.what, incident.where, incident.since, incident.evidence
        )
    parked = list(_parked(facts))
    newest = {name: f"{BATCHES}{each.reason.id}" for each in parked for name in each.evidence}
    for seen in [*_runs(facts), *parked]:
        id_ = seen.reason.id if seen.flow else f"{BATCHES}{seen.reason.id}"
        old = found.get(id_)
        evidence = {**(old.evidence if old else {}), **seen.evidence}
        evidence = dict(list(evidence.items())[-MOST_EVIDENCE:])
        made = old or Finding(_kind(seen), id_, _what(seen), seen.where, seen.since, names={"flow": seen.flow})
        found[id_] = replace(made, evidence=evidence)
    held = _held(facts, {name: text for each in found.values() for name, text in each.evidence.items()})
    left = [replace(each, evidence=_left(id_, each.evidence, held, newest)) for id_, each in found.items()]
    return [_with_batches(each) for each in left if each.evidence]


def _left(id_: str, evidence: Mapping[str, str], held: Container[str], newest: Mapping[str, str]) -> Mapping[str, str]:
    """What still holds of a finding's evidence: a batch that was parked again for another reason belongs there."""
    return {name: text for name, text in evidence.items() if name in held and newest.get(name, id_) == id_}


def _with_batches(finding: Finding) -> Finding:
    """A finding whose command names its batches, where it is of batches."""
    if not finding.subject.startswith(BATCHES):
        return finding
    ids = [name.rpartition(" ")[2] for name in finding.evidence]
    named = {"batch": " ".join(ids) if len(ids) <= MOST_NAMED else PLAIN["batch"]}
    return replace(finding, names=named, command=CAUSES["batch_parked"].command)


def _id(key: str) -> str:
    return key.rpartition("/")[2]


def _kind(seen: Seen) -> str:
    if seen.reason.is_refusal:
        return "publication_refused"
    return "run_failed" if seen.flow else "batch_parked"


def _what(seen: Seen) -> str:
    error = seen.reason
    if seen.others:
        return f"A sync failed, but not on the files of its run, which are published: {error.error}: {error.text}"
    if seen.flow:
        return f"A run of {seen.flow} failed, and nothing retries it: {error.error}: {error.text}"
    return f"A batch of files is parked, its last attempt failed: {error.error}: {error.text}"


def _runs(facts: Facts) -> Iterator[Seen]:
    """Runs of the platform's deployments that ended badly since the last look, and will not be retried."""
    since = max(facts.state.began, facts.state.looked - BACK)
    for run in facts.prefect.all(
        "/flow_runs/filter", {"flow_runs": _ended(facts, ENDED, since), "sort": "END_TIME_DESC"}
    ):
        state = run["state"]
        if not run.get("deployment_id") or may_come_back(
            state["type"], state.get("message"), moment(state["timestamp"]), facts.now
        ):
            continue
        why = reason(state["name"], state.get("message") or "")
        text = state.get("message") or ""
        others = " OthersFailed: " in text
        if why.error == "StaleSource" or (_is_batch(run) and not others):
            continue  # the source's age says it; or the sensor tries the batch again, or parks it
        at = run.get("end_time") or state["timestamp"]
        flow = facts.prefect.flow_name(run["flow_id"])
        evidence = {f"run {run['id']}": json.dumps([at, run["flow_id"], connections(run), selection(run)])}
        where = f"run {run['name']}, {facts.prefect.page('/runs/flow-run/' + run['id'])}"
        yield Seen(why, flow, others, where, moment(at), evidence)


def _ended(facts: Facts, types: tuple[str, ...], since: datetime) -> Json:
    return {
        "tags": {"all_": [facts.names.tag]},
        "state": {"type": {"any_": list(types)}},
        "end_time": {"after_": since.isoformat()},
        "parent_task_run_id": {"is_null_": True},
    }


def _is_batch(run: Json) -> bool:
    """Whether the sensor asked for the run: it is the sensor that asks again."""
    return bool((run.get("parameters") or {}).get("files")) and bool(run.get("idempotency_key"))


def connections(run: Json) -> list[str]:
    """The connections that a run syncs; empty for the profile's own."""
    return sorted((run.get("parameters") or {}).get("connection_ids") or [])


def selection(run: Json) -> str:
    """What of dbt's project a run builds; empty for all."""
    return (run.get("parameters") or {}).get("select") or ""


def _held(facts: Facts, evidence: Mapping[str, str]) -> set[str]:
    """The evidence that still holds: runs after which none has completed, and batches that are not done with."""
    runs = {name: json.loads(text) for name, text in evidence.items() if name.startswith("run ")}
    batches = {name for name in evidence if name.startswith("batch ")}
    held = _not_done(facts, batches) if batches else set()
    if not runs:
        return held
    ids = [name.removeprefix("run ") for name in runs]
    there = facts.prefect.ask("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": ids}}, "limit": 200}) or []
    bad = {f"run {each['id']}" for each in there if each["state_type"] in ENDED}
    oldest = min(moment(at) for at, *_ in runs.values())
    wanted = {"flow_runs": _ended(facts, ("COMPLETED",), oldest), "sort": "END_TIME_DESC"}
    done = list(facts.prefect.all("/flow_runs/filter", wanted))
    over = {name for name, run in runs.items() if any(_mends(facts, each, run) for each in done)}
    return held | (bad & (runs.keys() - over))


def _mends(facts: Facts, done: Json, failed: list[Any]) -> bool:
    """Whether a completed run, of the same flow or one that contains it, shows that what a failed one met is over."""
    at, flow_id, ids, *selected = failed
    name = facts.prefect.flow_name
    same_flow = done["flow_id"] == flow_id or (
        name(done["flow_id"]) == "full_pipeline" and name(flow_id) in ("airbyte_sync", "dbt_transform")
    )
    own = connections(done)
    same = not own or not ids or not set(own).isdisjoint(ids)
    same = same and selection(done) in ("", *selected)
    return bool(same_flow and same and moment(done["end_time"]) > moment(at))


def _parked(facts: Facts) -> Iterator[Seen]:
    """The parked batches of every sensor of the landing bucket."""
    try:
        s3, bucket = _s3(facts)
        for folder in _folders(s3, bucket):
            store = ParkedStore(s3, bucket, folder)
            for failed in store.read([each.key for each in store.found()[:MOST_EVIDENCE]]):
                yield _seen(folder, failed)
    except PlatformError:
        return  # batches that are known stay as they are, see _not_done; the sensor's silence tells the rest


def _seen(folder: str, failed: Failed) -> Seen:
    state, _, message = failed.reason.partition(": ")
    evidence = {f"batch {folder} {failed.batch.id}": str(len(failed.batch.files))}
    files = failed.batch.files
    where = f"batch {failed.batch.id} of {counted(len(files), 'file')}, first {files[0].key}; make status"
    return Seen(reason(state, message), where=where, evidence=evidence)


def _not_done(facts: Facts, batches: set[str]) -> set[str]:
    """Those of the batches that are parked, released, or being tried once more; all where S3 does not say."""
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
    yield from (each.key.removeprefix(store.parked)[:12] for each in store.found())
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
    """A client that gives up soon: while it waits, no other cause is looked at.

    It takes megabytes and tenths of a second to make, so there is one.
    """
    return s3_client(bucket, access, attempts=1, seconds=S3_SECONDS)


def _folders(s3: "S3Client", bucket: str) -> Iterator[str]:
    """What the parked batches' keys of each cursor begin with, up to `.parked/`."""
    for first in _below(s3, bucket, CURSORS):
        inner = [first] if first.endswith(PARKED) else _below(s3, bucket, first)
        yield from (each.removesuffix(PARKED) for each in inner if each.endswith(PARKED))


def _below(s3: "S3Client", bucket: str, prefix: str) -> list[str]:
    try:
        answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
        return [each["Prefix"] for each in answer.get("CommonPrefixes", [])]
    except NOT_S3 as error:
        raise unavailable(bucket, error) from error

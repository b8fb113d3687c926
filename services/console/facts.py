"""What the page shows: Prefect's runs and artifacts, the watch's incidents, and the sensor's last sign of life.

The page measures nothing itself, and needs no secret but Prefect's.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from threading import Lock

from blocks.batches import own_first
from blocks.dbt.results import FAILED
from blocks.errors import USER, PlatformError, shown
from blocks.incidents import LOOKED, Incident, IncidentStore, open_incidents
from blocks.names import Names
from blocks.published import changed
from blocks.settings import Settings
from services.console.lineage import Docs
from services.watch.prefect_api import Json, Prefect, moment
from services.watch.reasons import parts, reason
from services.watch.results import ALL, Source, rows, sources

FRESH_SECONDS = 5.0
"""How long facts are cached."""
RUNS, WAITING = 10, 30
MOST_SHOWN = 2_000
"""The most characters of a reason."""
KEYS = ("airbyte-sync", "row-counts", "dbt-results", "published-tables", "freshness", "files-without-rows")
"""The artifacts whose rows are shown, by their names without a namespace."""
JOB = re.compile(r"(?<=\bjob) \d+")
PLANNED = "Planned"
PIPELINES = ("full_pipeline", "remove_file", "airbyte_sync", "dbt_transform")
OTHERS = "The files of this run are loaded and published. The sync failed on others. "
WAITS = {
    "Late": "No worker has taken it yet.",
    "Pending": "A worker is starting it.",
    "AwaitingRetry": "Its last attempt failed for a reason that may pass.",
    "AwaitingConcurrencySlot": "Other runs hold the limit that it waits for.",
}
"""Why a run has not started, by the name of its state."""


@dataclass
class Snapshot:
    """The platform's state at one moment. `known` is when Prefect last answered, and `problem` why facts may be old.

    A run has the time when it `began` (its planned start while it waits), its seconds, files, steps and page. `why`
    says why it failed or waits, `but` what was done nevertheless, and `without` lists its files without rows. For a run
    or a batch, `same` is true if one before it has the same reason. The rest are rows of artifacts. A test or model has
    the statuses of its runs as `history`, oldest first. A publication has its run's page and the tables it changed.
    """

    at: datetime
    known: datetime | None = None
    problem: str = ""
    incidents: list[Incident] = field(default_factory=list)
    watched: datetime | None = None
    sensed: datetime | None = None
    runs: list[Json] = field(default_factory=list)
    waiting: list[Json] = field(default_factory=list)
    planned: Json | None = None
    failed: list[Json] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    tests: list[Json] = field(default_factory=list)
    models: list[Json] = field(default_factory=list)
    publications: list[Json] = field(default_factory=list)
    synced: list[Json] = field(default_factory=list)
    counts: list[Json] = field(default_factory=list)


class Facts:
    """Collects the facts when somebody looks, and caches them for FRESH_SECONDS."""

    def __init__(self, prefect: Prefect, settings: Settings, names: Names, docs: Docs) -> None:
        self.prefect, self.settings, self.names, self.docs = prefect, settings, names, docs
        self._last = Snapshot(datetime.fromtimestamp(0, UTC))
        self._lock = Lock()

    def now(self) -> Snapshot:
        """Return the facts, which may be a few seconds old."""
        with self._lock:
            now = datetime.now(UTC)
            if (now - self._last.at).total_seconds() > FRESH_SECONDS:
                facts = replace(self._last, at=now, problem="")
                for look in (self._look_at_the_watch, self._look_at_prefect):
                    try:
                        look(facts)
                    except PlatformError as error:
                        facts.problem += f"{error} "
                if facts.problem and facts.known:
                    facts.problem += f"The facts below are from {facts.known:%H:%M:%S} UTC."
                facts.at = datetime.now(UTC)  # so that a server that does not answer is not asked at once again
                self._last = facts
            return self._last

    def _look_at_the_watch(self, facts: Snapshot) -> None:
        looked = self.settings.alerts_dir / LOOKED
        facts.sensed = datetime.fromtimestamp(looked.stat().st_mtime, UTC) if looked.exists() else None
        state = IncidentStore(self.settings.alerts_dir).read()
        facts.watched, facts.incidents = (state.looked, open_incidents(state, facts.at)) if state else (None, [])

    def _look_at_prefect(self, facts: Snapshot) -> None:
        self.prefect.check()
        found = self.prefect.newest(map(self.names.artifact, KEYS))
        newest = dict(zip(KEYS, found.values(), strict=True))
        facts.runs = mark_repeated(self._runs(facts.at))
        without = {each["flow_run_id"]: rows(each) for each in reversed(newest["files-without-rows"])}
        for run in facts.runs:
            run["without"] = without.get(run["id"], [])
        waiting = self._waiting(facts.at)
        facts.waiting = [each for each in waiting if each["state"] != PLANNED]
        facts.planned = next((each for each in waiting if each["state"] == PLANNED), None)
        facts.failed = self._failed()
        facts.sources = sources(newest["freshness"], facts.at, self.settings.freshness_threshold_hours)
        checks = [_check(results) for results in _by(newest["dbt-results"], "name").values()]
        checks = [each for each in checks if not self.docs.lacks(each["name"], each["at"])]
        checks.sort(key=lambda each: (not each["is_bad"], each["status"] != "warn", each["name"]))
        facts.tests = [each for each in checks if each["resource_type"] in ("test", "unit_test")]
        facts.models = [each for each in checks if each["resource_type"] in ("model", "seed", "snapshot")]
        facts.publications = [self._publication(each) for each in newest["published-tables"]]
        facts.synced = _by([each for each in newest["airbyte-sync"] if rows(each)][:1], "stream").get(ALL, [])
        facts.counts = [_stream(each, facts.at) for _, each in sorted(_by(newest["row-counts"], "stream").items())]
        facts.sources += _unmeasured_sources(facts)
        facts.known = facts.at

    def _publication(self, artifact: Json) -> Json:
        at, tables = moment(artifact["created"]), rows(artifact)
        return {"at": at, "url": self._run_url(artifact["flow_run_id"]), "tables": tables, "changed": changed(tables)}

    def _failed(self) -> list[Json]:
        """Return the batches that wait for their next attempt or for a person, from the sensors' artifacts."""
        body = {"artifacts": {"key": {"like_": f"{self.names.artifact('parked-batches')}%"}}}
        found = self.prefect.ask("POST", "/artifacts/latest/filter", body) or []
        batches = [{"again": "", "named": 1, "others": "", **row} for each in found for row in rows(each)]
        for row in batches:
            state, _, message = row["reason"].partition(": ")
            row["why"] = _why(state, message)
            row["fault_is_elsewhere"] = not row["named"] and "cannot load" in reason(state, message).text
        return mark_repeated(batches)

    def _pipeline_runs(self, wanted: Json, sort: str, most: int) -> list[Json]:
        """Return the pipelines' runs, without subflow runs."""
        wanted = {**wanted, "parent_task_run_id": {"is_null_": True}}
        if self.names.namespace:  # others use the server, too
            wanted["tags"] = {"all_": [self.names.tag]}
        body = {"flows": {"name": {"any_": list(PIPELINES)}}, "flow_runs": wanted, "sort": sort, "limit": most}
        return self.prefect.ask("POST", "/flow_runs/filter", body) or []

    def _waiting(self, now: datetime) -> list[Json]:
        states = {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "PAUSED"]}}}
        found = self._pipeline_runs(states, "EXPECTED_START_TIME_ASC", WAITING)
        return [self._run(each, [], now, moment(each["expected_start_time"])) for each in found]

    def _runs(self, now: datetime) -> list[Json]:
        found = self._pipeline_runs({"start_time": {"is_null_": False}}, "START_TIME_DESC", RUNS)
        ids = {"flow_runs": {"id": {"any_": [each["id"] for each in found]}}, "limit": 200}
        steps: dict[str, list[Json]] = defaultdict(list)
        for step in self.prefect.ask("POST", "/task_runs/filter", ids) or [] if found else []:
            if step["start_time"]:
                steps[step["flow_run_id"]].append(step)
        return [self._run(each, steps[each["id"]], now, moment(each["start_time"])) for each in found]

    def _run(self, run: Json, steps: Iterable[Json], now: datetime, began: datetime) -> Json:
        name, files = run["state_name"] or "", _files(run.get("parameters") or {})
        message = own_first((run["state"] or {}).get("message") or "", files)
        has_failed = name in ("Failed", "Crashed") or (name == "AwaitingRetry" and run["start_time"])
        return {
            "id": run["id"],
            "name": shown(run["name"]),
            "flow": self.prefect.flow_name(run["flow_id"]),
            "state": PLANNED if run["auto_scheduled"] and began > now else name,
            "began": began,
            "seconds": run["estimated_run_time"],
            "files": files,
            "why": _why(name, message) if has_failed else WAITS.get(name, ""),
            "but": OTHERS if " OthersFailed: " in message else "",
            "url": self._run_url(run["id"]),
            "steps": _steps(steps, began),
        }

    def _run_url(self, id_: str | None) -> str:
        where = self.prefect.page(f"/runs/flow-run/{id_}")
        return where if id_ and where.startswith("http") else ""


def _files(parameters: Json) -> list[str]:
    """Return the keys of the files that a run is for: those of a batch, or the file to remove."""
    keys = [each["key"] for each in parameters.get("files") or []] or [parameters.get("key")]
    return [shown(str(each)) for each in keys if each]


def _why(state: str, message: str) -> str:
    """Return why a run failed. Only sync and dbt errors are quoted in full, since other texts may contain anything."""
    error, text = parts(state, shown(USER.sub("//***@", message)))
    error = "SyncFailed" if error == "OthersFailed" else error
    if error in ("SyncFailed", "DbtFailed"):
        return f"{error}: {text[:MOST_SHOWN]}{'…' if len(text) > MOST_SHOWN else ''}"
    found = reason(state, message)
    return found.text[:1].upper() + found.text[1:] if found.error == "Failed" else f"{found.error}: {found.text}"


def mark_repeated(found: list[Json]) -> list[Json]:
    """Set `same` on each whose reason an earlier one has. The number of Airbyte's job is ignored."""
    seen = set[str]()
    for each in found:
        plain = JOB.sub("", each["why"])
        each["same"] = plain in seen
        seen.add(plain)
    return found


def _steps(tasks: Iterable[Json], began: datetime) -> list[Json]:
    """Return a run's tasks. `start` is in seconds from the run's start, and `lane` is 1 while another task runs."""
    found, end = list[Json](), 0.0
    for task in sorted(tasks, key=lambda each: str(each["start_time"])):
        start, seconds = max((moment(task["start_time"]) - began).total_seconds(), 0.0), task["estimated_run_time"]
        name, lane = shown(task["name"].rpartition("-")[0] or task["name"]), int(start < end)
        found.append({"name": name, "state": task["state_type"], "start": start, "seconds": seconds, "lane": lane})
        end = max(end, start + seconds)
    return found


def _check(results: list[Json]) -> Json:
    """Summarize a test or model from its results, which are newest first."""
    last, history = results[0], [each["status"] for each in reversed(results)]
    since = list(takewhile(lambda each: each["status"] == last["status"], results))[-1]["at"]
    more = {"history": history, "since": since, "is_bad": last["status"] in FAILED}
    return {"seconds": 0, "message": "", **last, **more}


def _stream(loads: list[Json], now: datetime) -> Json:
    """Summarize a stream from its loads, newest first: its last load with rows, and its rows in the last `day`."""
    last = next((each for each in loads if each["in the files"]), loads[0])
    return {**last, "day": sum(each["in the files"] for each in loads if now - each["at"] < timedelta(days=1))}


def _unmeasured_sources(facts: Snapshot) -> list[Source]:
    """Return the sources without a dbt freshness check, with the end of their last load."""
    known = {each.name.rpartition(".")[2] for each in facts.sources}
    rest = [each for each in facts.counts if each["stream"] not in known]
    return [Source(f"raw.{each['stream']}", "", each["at"], math.inf, 0) for each in rest]


def _by(artifacts: Iterable[Json], column: str) -> dict[str, list[Json]]:
    """Group artifacts' rows by a column. Each row gets the time of its artifact, and the order stays the same."""
    found: dict[str, list[Json]] = defaultdict(list)
    for artifact in artifacts:
        for row in rows(artifact):
            found[row[column]].append({**row, "at": moment(artifact["created"])})
    return found

"""What the page shows: Prefect's runs and artifacts, the watch's incidents, and the sensor's sign of life.

All of it is there already; nothing is measured here, and no secret but Prefect's own is needed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from blocks.errors import PlatformError, shown
from blocks.incidents import LOOKED, IncidentStore, untold
from blocks.names import Names
from blocks.settings import Settings
from services.console.snapshot import Check, Publication, Run, Snapshot, Source, Step
from services.watch.prefect_api import Json, Prefect, moment
from services.watch.reasons import reason
from services.watch.results import rows

FRESH_SECONDS = 5.0
"""For how long facts are shown again before they are asked for anew."""
RUNS, WAITING, HISTORY = 10, 30, 20
KEYS = ("airbyte-sync", "row-counts", "dbt-results", "published-tables", "freshness")
"""The artifacts whose rows are shown, by their plain names."""
PLANNED = "Planned"
FAILED = ("Failed", "Crashed")
RETRIED = timedelta(minutes=15)
"""A failed batch is tried again or parked within this time of a run's beginning."""
PIPELINES = ("full_pipeline", "remove_file")
WAITS = {
    "Late": "No worker has taken it yet.",
    "Pending": "A worker is starting it.",
    "AwaitingRetry": "Its last attempt failed for a reason that may pass.",
    "AwaitingConcurrencySlot": "Other runs hold the limit that it waits for.",
}
"""Why a run has not started, by the name of its state."""


class Facts:
    """Gathers the facts when somebody looks, and keeps them for FRESH_SECONDS."""

    def __init__(self, prefect: Prefect, settings: Settings, names: Names) -> None:
        self.prefect, self.settings, self.names = prefect, settings, names
        self._last = Snapshot(datetime.fromtimestamp(0, UTC))
        self._lock = Lock()
        self._history: dict[str, tuple[str, list[Json]]] = {}
        """By a key: when the newest artifact was made, and the newest ones; the id of `latest` is never another."""

    def now(self) -> Snapshot:
        """The facts as they are, or were a moment ago."""
        with self._lock:
            now = datetime.now(UTC)
            if (now - self._last.at).total_seconds() > FRESH_SECONDS:
                self._last = self._look(now)
            return self._last

    def _look(self, now: datetime) -> Snapshot:
        known: Json = {}
        problems = []
        for part in (self._watched, self._of_prefect):
            try:
                known |= part(now)
            except PlatformError as error:
                problems.append(str(error))
        looked = self.settings.alerts_dir / LOOKED
        sensed = datetime.fromtimestamp(looked.stat().st_mtime, UTC) if looked.exists() else None
        return Snapshot(at=now, problem=" ".join(problems), sensed=sensed, **known)

    def _watched(self, now: datetime) -> Json:
        state = IncidentStore(self.settings.alerts_dir).read()
        found = list(state.incidents.values()) if state else []
        return {"incidents": [*untold(state, now), *found], "watched": state.looked if state else None}

    def _of_prefect(self, now: datetime) -> Json:
        self.prefect.check()
        newest = self._newest()
        synced = [each for each in newest["airbyte-sync"] if rows(each)][:1]
        runs, parked, waiting = self._runs(now), self._parked(), self._waiting(now)
        held = {each["first"] for each in parked} | {file for each in waiting for file in each.files}
        return {
            "runs": runs,
            "waiting": [*(each for each in waiting if each.state != PLANNED), *_to_retry(runs, held, now)],
            "planned": next((each for each in waiting if each.state == PLANNED), None),
            "parked": parked,
            "sources": [_source(row, now) for each in newest["freshness"][:1] for row in rows(each)],
            "checks": checks(newest["dbt-results"]),
            "publications": [self._publication(each) for each in newest["published-tables"]],
            "synced": [row for each in synced for row in rows(each)],
            "synced_at": moment(synced[0]["updated"]) if synced else None,
            "counts": counts(newest["row-counts"]),
        }

    def _newest(self) -> dict[str, list[Json]]:
        """The newest artifacts of each of KEYS, newest first; asked for anew when there is another newest one."""
        keys = {self.names.artifact(plain): plain for plain in KEYS}
        latest = self.prefect.ask("POST", "/artifacts/latest/filter", {"artifacts": {"key": {"any_": list(keys)}}})
        for each in latest or []:
            if self._history.get(keys[each["key"]], ("",))[0] != each["updated"]:
                body = {"artifacts": {"key": {"any_": [each["key"]]}}, "sort": "CREATED_DESC", "limit": HISTORY}
                found = self.prefect.ask("POST", "/artifacts/filter", body) or []
                self._history[keys[each["key"]]] = each["updated"], found
        return {plain: self._history.get(plain, ("", []))[1] for plain in KEYS}

    def _publication(self, artifact: Json) -> Publication:
        return Publication(moment(artifact["created"]), self._run_url(artifact["flow_run_id"] or ""), rows(artifact))

    def _run_url(self, id_: str) -> str:
        where = self.prefect.page(f"/runs/flow-run/{id_}")
        return where if id_ and where.startswith("http") else ""

    def _parked(self) -> list[Json]:
        """The batches that wait for a person, as the sensors have told Prefect."""
        body = {"artifacts": {"key": {"like_": f"{self.names.artifact('parked-batches')}%"}}}
        found = self.prefect.ask("POST", "/artifacts/latest/filter", body) or []
        return [
            {**row, "why": _why({"name": "Failed", "message": row["reason"]})} for each in found for row in rows(each)
        ]

    def _asked(self, wanted: Json, sort: str, most: int) -> list[Json]:
        """The pipelines' own runs, without those within others."""
        wanted = {**wanted, "parent_task_run_id": {"is_null_": True}}
        if self.names.namespace:  # of others on the server
            wanted["tags"] = {"all_": [self.names.tag]}
        body = {"flows": {"name": {"any_": list(PIPELINES)}}, "flow_runs": wanted, "sort": sort, "limit": most}
        return self.prefect.ask("POST", "/flow_runs/filter", body) or []

    def _waiting(self, now: datetime) -> list[Run]:
        states = {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "PAUSED"]}}}
        found = self._asked(states, "EXPECTED_START_TIME_ASC", WAITING)
        return [self._run(each, [], 1, now, moment(each["expected_start_time"])) for each in found]

    def _runs(self, now: datetime) -> list[Run]:
        found = self._asked({"start_time": {"is_null_": False}}, "START_TIME_DESC", RUNS)
        ids = {"flow_runs": {"id": {"any_": [each["id"] for each in found]}}, "limit": 200}
        steps: dict[str, list[Json]] = defaultdict(list)
        for step in self.prefect.ask("POST", "/task_runs/filter", ids) or [] if found else []:
            if step["start_time"]:
                steps[step["flow_run_id"]].append(step)
        longest = max((_seconds(each, now) for each in found), default=0) or 1
        return [self._run(each, steps[each["id"]], longest, now, moment(each["start_time"])) for each in found]

    def _run(self, run: Json, steps: Iterable[Json], longest: float, now: datetime, began: datetime) -> Run:
        state, name = run["state"] or {}, run["state_name"] or ""
        is_planned = run["auto_scheduled"] and began > now
        bad = name in FAILED or (name == "AwaitingRetry" and run["start_time"])
        return Run(
            name=shown(run["name"]),
            state=PLANNED if is_planned else name,
            began=began,
            seconds=_seconds(run, now) if run["start_time"] else 0,
            files=[shown(str(each["key"])) for each in (run.get("parameters") or {}).get("files") or []],
            why=_why(state) if bad else WAITS.get(name, ""),
            url=self._run_url(run["id"]),
            steps=_steps(steps, began, longest, now),
        )


def _to_retry(runs: Iterable[Run], held: set[str], now: datetime) -> Iterator[Run]:
    """The failed runs whose files the sensor will hand on once more, as no later run has them and they are not held."""
    for run in runs:  # newest first
        fresh = now - run.began < RETRIED and not held.intersection(run.files[:1])
        if run.files and run.state in FAILED and fresh:
            yield replace(run, why=f"The sensor tries them again 1, 2 and 4 minutes after a failure. {run.why}")
        held |= set(run.files)


def _why(state: Json) -> str:
    told = reason(state.get("name") or "", state.get("message") or "")
    return told.text[:1].upper() + told.text[1:] if told.error == "Failed" else f"{told.error}: {told.text}"


def _seconds(run: Json, now: datetime) -> float:
    end = moment(run["end_time"]) if run["end_time"] else now
    return max((end - moment(run["start_time"])).total_seconds(), 0.0)


def _steps(tasks: Iterable[Json], began: datetime, longest: float, now: datetime) -> list[Step]:
    found, end = list[Step](), 0.0
    for task in sorted(tasks, key=lambda each: str(each["start_time"])):
        start, seconds = max((moment(task["start_time"]) - began).total_seconds(), 0.0), _seconds(task, now)
        left, width = (min(100 * each / longest, 100) for each in (start, seconds))
        width, name = max(min(width, 100 - left), 0.3), task["name"].rpartition("-")[0] or task["name"]
        found.append(Step(shown(name), task["state_type"], round(left, 2), round(width, 2), int(start < end), seconds))
        end = max(end, start + seconds)
    return found


def _source(row: Json, now: datetime) -> Source:
    loaded = moment(row["loaded_at"]) if row.get("loaded_at") else None
    age = (now - loaded).total_seconds() / 3600 if loaded else None
    return Source(row["source"], loaded, age, float(row.get("limit_hours") or 0))


def checks(artifacts: Iterable[Mapping[str, Any]]) -> list[Check]:
    """Each test and model with its last result and its history, failed ones first.

    Args:
        artifacts: dbt's results, newest first. A name that the newest whole build lacks is no longer in the project.
    """
    newest: dict[str, tuple[Json, datetime]] = {}
    history: dict[str, list[str]] = defaultdict(list)
    for artifact in artifacts:
        for row in rows(artifact):
            newest.setdefault(row["name"], (row, moment(artifact["created"])))
            history[row["name"]].append(row["status"])
    found = [
        Check(
            name=name,
            kind=row["resource_type"],
            status=row["status"],
            seconds=float(row.get("seconds") or 0),
            message=row.get("message") or "",
            at=at,
            history=history[name][::-1],
        )
        for name, (row, at) in newest.items()
    ]
    return sorted(found, key=lambda each: (not each.is_bad, each.status != "warn", each.name))


def counts(artifacts: Iterable[Mapping[str, Any]]) -> list[Json]:
    """The newest row counts of each stream."""
    newest: dict[str, Json] = {}
    for artifact in artifacts:
        for row in rows(artifact):
            newest.setdefault(row["stream"], {**row, "at": moment(artifact["created"])})
    return [newest[name] for name in sorted(newest)]

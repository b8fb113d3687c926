"""Read from the last runs' artifacts how old sources are, which tests warn, and how many rows streams had."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from services.watch.causes import Finding
from services.watch.prefect_api import Json, moment
from services.watch.probe import Facts

HOURS = timedelta(hours=20)
"""The window before a stream's last load in which rows are counted. Of daily loads, exactly one falls into it."""
DAYS, ENOUGH = 7, 3
"""How many earlier windows, one a day, are compared, and how many of them must have rows."""
OVERLAP = timedelta(minutes=1)
"""How long before the last check to look for builds, because the server's clock may differ."""
ALL = "(all)"
_volume: dict[str, list[Finding]] = {}
"""A cache of the findings about rows, by the newest artifact's time. All artifacts of a key share `latest`'s id."""


class Source(NamedTuple):
    """A source: its status when measured, and the age in hours of its newest row (infinite without rows)."""

    name: str
    status: str
    loaded: datetime | None
    limit: float
    age: float

    @property
    def is_late(self) -> bool:
        """Whether the newest row is older than the source's limit."""
        return self.age > self.limit


def sources(measured: list[Json], now: datetime, limit: float) -> list[Source]:
    """Return the sources in the newest freshness artifact.

    Args:
        measured: the artifacts, newest first.
        now: the time.
        limit: hours after which a source without its own limit is stale.
    """
    found = []
    for row in rows(measured[0]) if measured else []:
        loaded = moment(row["loaded_at"]) if row.get("loaded_at") else None
        age = (now - loaded) / timedelta(hours=1) if loaded else math.inf
        found.append(Source(row["source"], row["status"], loaded, float(row.get("limit_hours") or limit), age))
    return found


def freshness(facts: Facts) -> list[Finding]:
    """Return a finding for each source whose newest row is too old now, even if no run has checked it lately."""
    found = []
    where = facts.prefect.page(f"/artifacts/key/{facts.names.artifact('freshness')}")
    for source in sources(_newest(facts, "freshness"), facts.now, facts.settings.freshness_threshold_hours):
        name, limit = source.name, source.limit
        if not source.loaded:
            if source.status not in ("pass", "warn"):
                found.append(Finding("source_stale", name, f"The source {name} has no rows.", where))
        elif source.is_late:
            what = f"The source {name} is stale: its newest row was loaded on {source.loaded:%Y-%m-%d at %H:%M} UTC, "
            what += f"and the threshold is {limit:g} h."
            found.append(Finding("source_stale", name, what, where, source.loaded + timedelta(hours=limit)))
    return found


def drift(facts: Facts) -> list[Finding]:
    """Return a finding for each test that warned when it last ran. A build may run only a selection of tests."""
    where = facts.prefect.page(f"/artifacts/key/{facts.names.artifact('dbt-results')}")
    warns = {each.key.removeprefix("drift/") for each in facts.open("drift")}
    for artifact in _since(facts, "dbt-results"):
        tests = {row["name"]: row["status"] for row in rows(artifact) if row["resource_type"] == "test"}
        if "--select" not in (artifact.get("description") or ""):
            warns &= set(tests)  # a full build shows that the others were removed from the project
        for name, status in tests.items():
            if status == "warn":
                warns.add(name)
            elif status != "skipped":
                warns.discard(name)
    return [
        Finding("drift", name, f"The test {name} warns: rows are not as declared.", where) for name in sorted(warns)
    ]


def _since(facts: Facts, key: str) -> list[Json]:
    """Return the artifacts since the last check, oldest first, and at least the newest one."""
    newest, since = _newest(facts, key), facts.state.looked - OVERLAP
    return [each for each in reversed(newest) if moment(each["created"]) > since] or newest[:1]


def volume(facts: Facts) -> list[Finding]:
    """Return a finding for each stream that had far fewer rows than usual."""
    share = facts.settings.alert_volume_percent / 100
    newest = _newest(facts, "airbyte-sync")
    if not newest or not share:
        return []
    latest = newest[0]
    if latest["updated"] not in _volume:
        key = facts.names.artifact("airbyte-sync")
        since = moment(latest["updated"]) - timedelta(days=DAYS + 1)
        body = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        loads: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
        for artifact in facts.prefect.all("/artifacts/filter", body):
            if (at := moment(artifact["created"])) < since:
                break
            for row in rows(artifact):
                if row["stream"] != ALL:
                    loads[f"{row['connection']}, {row['stream']}"].append((at, int(row["rows"])))
        where = facts.prefect.page(f"/artifacts/key/{key}")
        fallen = {stream: fall(own, share) for stream, own in loads.items()}
        _volume.clear()
        _volume[latest["updated"]] = [
            Finding("volume_fall", stream, _fall_text(stream, *figures), where)
            for stream, figures in fallen.items()
            if figures
        ]
    return _volume[latest["updated"]]


def fall(loads: list[tuple[datetime, int]], share: float) -> tuple[int, int] | None:
    """Return a stream's recent and usual numbers of rows if there are too few; None if there are enough.

    No rows at all are not a fall, because source_stale reports that.

    Args:
        loads: when rows were loaded, and how many.
        share: the share of the usual number below which there is a fall.
    """
    last = max(at for at, _ in loads)
    windows = [
        sum(rows for at, rows in loads if last - timedelta(days=day) - HOURS < at <= last - timedelta(days=day))
        for day in range(DAYS + 1)
    ]
    now, before = windows[0], [each for each in windows[1:] if each]
    if not now or len(before) < ENOUGH or now >= share * median(before):
        return None
    return now, round(median(before))


def _fall_text(stream: str, now: int, usual: int) -> str:
    return f"The stream {stream} had {now:,} rows in its last {HOURS.seconds // 3600} hours. Usually it has {usual:,}."


def _newest(facts: Facts, key: str) -> list[Json]:
    named = facts.names.artifact(key)
    return facts.prefect.newest([named])[named]


def rows(artifact: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a table artifact."""
    data = artifact.get("data") or "[]"
    found = json.loads(data) if isinstance(data, str) else data
    return [each for each in found if isinstance(each, dict)]

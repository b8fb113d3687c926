"""What the page shows of one moment."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from blocks.incidents import Incident
from services.watch.prefect_api import Json

BAD = frozenset({"fail", "error", "runtime error", "partial success"})
KINDS = {
    "landing": ("sensor_silent", "batch_parked"),
    "sync": ("prefect_silent", "worker_gone", "pool_paused", "pool_gone", "run_failed", "run_late"),
    "raw": ("source_stale", "volume_fall"),
    "models": ("drift", "publication_refused"),
    "published": ("publication_refused",),
}
"""The incidents that concern each part of the data path."""


@dataclass(frozen=True)
class Step:
    """A step of a run; `left` and `width` are percentages of the longest run's time, `lane` 1 beside another step."""

    name: str
    state: str
    left: float
    width: float
    lane: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """A pipeline run; `began` is its planned start while it waits, `why` the sentence of its failure or its waiting."""

    name: str
    state: str
    began: datetime
    seconds: float
    files: list[str]
    why: str
    url: str
    steps: list[Step]


@dataclass(frozen=True)
class Source:
    """A source's age against its threshold, in hours; `loaded` is None where it has no row."""

    name: str
    loaded: datetime | None
    age: float | None
    limit: float

    @property
    def is_late(self) -> bool:
        """Whether it is stale by now."""
        return self.age is None or self.age > self.limit


@dataclass(frozen=True)
class Check:
    """A test's or a model's last result, and the statuses of its last runs, oldest first."""

    name: str
    kind: str
    status: str
    seconds: float
    message: str
    at: datetime
    history: list[str]

    @property
    def is_bad(self) -> bool:
        """Whether it failed."""
        return self.status in BAD


@dataclass(frozen=True)
class Publication:
    """A published version, its run's page, and its tables: `rows`, `before`, `added` and `removed` columns."""

    at: datetime
    url: str
    tables: list[Json]

    @property
    def changed(self) -> list[Json]:
        """The tables that are not as they were."""
        return [each for each in self.tables if each["rows"] != each["before"] or each["added"] or each["removed"]]


@dataclass(frozen=True)
class Snapshot:
    """The platform at one moment. `problem` says why parts of it may be missing."""

    at: datetime
    incidents: list[Incident] = field(default_factory=list)
    problem: str = ""
    watched: datetime | None = None
    sensed: datetime | None = None
    runs: list[Run] = field(default_factory=list)
    waiting: list[Run] = field(default_factory=list)
    planned: Run | None = None
    parked: list[Json] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    publications: list[Publication] = field(default_factory=list)
    synced: list[Json] = field(default_factory=list)
    synced_at: datetime | None = None
    counts: list[Json] = field(default_factory=list)

    def of(self, part: str) -> list[Incident]:
        """The open incidents of a part of the data path."""
        return [each for each in self.incidents if each.kind in KINDS[part]]

    @cached_property
    def tests(self) -> list[Check]:
        """The tests, failed ones first."""
        return [each for each in self.checks if each.kind in ("test", "unit_test")]

    @cached_property
    def models(self) -> list[Check]:
        """The tables and views that dbt builds."""
        return [each for each in self.checks if each.kind in ("model", "seed", "snapshot")]

    @cached_property
    def by_name(self) -> dict[str, Check]:
        """Tests and models by their names."""
        return {each.name: each for each in self.checks}

    @property
    def raw_rows(self) -> int:
        """Rows of raw, as far as they have been counted."""
        return sum(int(each["all of raw"] or 0) for each in self.counts)

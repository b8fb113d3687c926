"""What a dbt command did: nodes, row counts and the age of sources."""

from collections.abc import Container, Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from blocks.errors import printable

FAILED = frozenset({"error", "fail", "runtime error", "partial success"})


class DbtNode(BaseModel):
    """The result of one node. `seconds` is its execution time; `id` and `parents` are ids of dbt's manifest.

    `changes_only` says that a test looked at no rows but those that may have changed since it last passed.
    """

    name: str
    resource_type: str
    status: str
    seconds: float = 0.0
    failures: int | None = None
    message: str = ""
    id: str = ""
    parents: list[str] = []
    changes_only: bool = False

    @property
    def failed(self) -> bool:
        """Whether this node makes the command fail."""
        return self.status in FAILED


class RowCounts(BaseModel):
    """Where the rows of a staging model's source are.

    Of `in_raw` rows, `twice_in_a_file` have the key of another row of the same version of a file; in all there are
    `different_keys`.
    """

    stream: str
    staging: str
    in_raw: int
    twice_in_a_file: int
    different_keys: int
    in_staging: int

    @property
    def older(self) -> int:
        """Rows that a newer version of the file, or another file, has replaced."""
        return self.in_raw - self.twice_in_a_file - self.different_keys

    @property
    def filtered(self) -> int:
        """Keys that the model leaves out; negative where it has more rows than keys."""
        return self.different_keys - self.in_staging


class Misfit(BaseModel):
    """Values in a file that are not of the type that a column is declared with; `example` is one of them."""

    table: str
    column: str
    type: str
    file: str
    values: int
    example: str | None = None


class DeclaredSource(BaseModel):
    """A table of raw as sources.yml declares it: its columns' names in raw, in lower case.

    Files may lack the `optional` ones, by `meta.optional`.
    """

    id: str
    table: str
    columns: list[str]
    optional: list[str] = []


class DbtResult(BaseModel):
    """The results of one dbt command, a node each, and the row counts of staging models with new rows.

    `misfits` are what the tests of raw's types found, and `sources` what the project declares of raw.
    """

    command: str
    nodes: list[DbtNode] = []
    rows: list[RowCounts] = []
    misfits: list[Misfit] = []
    sources: list[DeclaredSource] = []

    def counts(self) -> dict[str, int]:
        """How many nodes ended in each status, e.g. `{"success": 12, "pass": 60}`."""
        statuses = [node.status for node in self.nodes]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}

    def tested(self) -> str:
        """Say what the tests looked at, in a sentence; empty where none has run."""
        tests = [node for node in self.nodes if node.resource_type == "test" and node.status != "skipped"]
        of_changes = sum(node.changes_only for node in tests)
        if not tests:
            return ""
        if not of_changes:
            return "The tests looked at every row."
        return (
            f"{of_changes} of {len(tests)} tests looked only at what may have changed since they last passed, "
            "the others at every row."
        )


class SourceFreshness(BaseModel):
    """How old a source's newest row is; `age_hours` and `loaded_at` are unknown where it has no row.

    `limit_hours` is the age at which the source is stale, as sources.yml has it.
    """

    source: str
    status: str
    loaded_at: datetime | None = None
    age_hours: float | None = None
    limit_hours: float | None = None


def nodes_of(results: Iterable[Any], changes_only: Container[str] = ()) -> list[DbtNode]:
    """Return the results of a command but for the project's own hooks where these have run."""
    return [
        DbtNode(
            id=each.node.unique_id,
            parents=list(getattr(each.node.depends_on, "nodes", []) if hasattr(each.node, "depends_on") else []),
            name=each.node.name,
            resource_type=str(each.node.resource_type),
            status=str(each.status),
            seconds=round(each.execution_time, 3),
            failures=each.failures if hasattr(each, "failures") else None,
            message=printable(each.message or ""),
            changes_only=each.node.unique_id in changes_only,
        )
        for each in results
        if hasattr(each, "node") and not (str(each.node.resource_type) == "operation" and str(each.status) == "success")
    ]


def sources_of(manifest: Any) -> list[DeclaredSource]:
    """Return what a manifest declares of raw; tables without columns are left out."""
    found = []
    for id_, node in (manifest.sources if manifest else {}).items():
        named = {str(each.meta.get("column", each.name)).lower(): each.meta for each in node.columns.values()}
        if named:
            optional = [column for column, meta in named.items() if meta.get("optional")]
            found.append(DeclaredSource(id=id_, table=node.identifier.lower(), columns=list(named), optional=optional))
    return found


NEVER = 1
"""The year in which dbt says that the newest row of an empty table was loaded."""


def freshness_of(result: Any) -> SourceFreshness:
    known = result.node.source_name, result.node.name
    loaded_at = getattr(result, "max_loaded_at", None)
    if loaded_at and loaded_at.year == NEVER:
        loaded_at = None
    return SourceFreshness(
        source=".".join(known),
        status=str(result.status),
        loaded_at=loaded_at,
        age_hours=round(result.age / 3600, 2) if loaded_at else None,
        limit_hours=_limit_hours(getattr(result.node, "freshness", None)),
    )


def _limit_hours(freshness: Any) -> float | None:
    after = getattr(freshness, "error_after", None)
    hours = {"minute": 1 / 60, "hour": 1, "day": 24}.get(str(getattr(after, "period", "")))
    count = getattr(after, "count", None)
    return float(count) * hours if hours and count else None

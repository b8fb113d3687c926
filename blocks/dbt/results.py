"""The results of dbt commands: nodes, row counts and the age of sources."""

from collections.abc import Container, Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from blocks.errors import printable

FAILED = frozenset({"error", "fail", "runtime error", "partial success"})


class DbtNode(BaseModel):
    """The result of one node.

    Attributes:
        name: the node's name.
        resource_type: its type in dbt, e.g. `model`.
        status: dbt's status, e.g. `success`.
        seconds: its execution time.
        failures: number of failures of a test.
        message: dbt's message.
        id: its id in dbt's manifest.
        parents: its parents' ids in dbt's manifest.
        changes_only: whether a test read only the rows that may have changed since it last passed.
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
    """Row counts of a staging model and its source.

    Attributes:
        stream: name of the source's table.
        staging: name of the staging model.
        in_raw: number of rows in raw.
        twice_in_a_file: number of those rows with the same key as another row of the same version of a file.
        different_keys: number of different keys in raw.
        in_staging: number of rows in the staging model.
    """

    stream: str
    staging: str
    in_raw: int
    twice_in_a_file: int
    different_keys: int
    in_staging: int

    @property
    def older(self) -> int:
        """Number of rows that a newer version of the file, or another file, has replaced."""
        return self.in_raw - self.twice_in_a_file - self.different_keys

    @property
    def filtered(self) -> int:
        """Number of keys that the model leaves out; negative if it has more rows than keys."""
        return self.different_keys - self.in_staging


class Misfit(BaseModel):
    """Values in a file that do not have their column's declared type. `example` is one of them."""

    table: str
    column: str
    type: str
    file: str
    values: int
    example: str | None = None


class DeclaredSource(BaseModel):
    """A raw table as sources.yml declares it.

    Attributes:
        id: the source's id in dbt's manifest.
        table: the table's name.
        columns: the columns' names in raw, in lower case.
        optional: the columns with `meta.optional`, which files may lack.
    """

    id: str
    table: str
    columns: list[str]
    optional: list[str] = []


class DbtResult(BaseModel):
    """The results of one dbt command.

    Attributes:
        command: the command line.
        nodes: the nodes' results.
        rows: row counts of the staging models with new rows.
        misfits: what the tests of raw's types found.
        sources: the raw tables that the project declares.
    """

    command: str
    nodes: list[DbtNode] = []
    rows: list[RowCounts] = []
    misfits: list[Misfit] = []
    sources: list[DeclaredSource] = []

    def counts(self) -> dict[str, int]:
        """Return the number of nodes with each status, e.g. `{"success": 12, "pass": 60}`."""
        statuses = [node.status for node in self.nodes]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}

    def tested(self) -> str:
        """Return a sentence about the rows that the tests read; "" if no test has run."""
        tests = [node for node in self.nodes if node.resource_type == "test" and node.status != "skipped"]
        of_changes = sum(node.changes_only for node in tests)
        if not tests:
            return ""
        if not of_changes:
            return "The tests read every row."
        return (
            f"{of_changes} of {len(tests)} tests read only the rows that may have changed since they last passed. "
            "The others read every row."
        )


class SourceFreshness(BaseModel):
    """The age of a source's newest row.

    Attributes:
        source: `source.table`.
        status: dbt's status.
        loaded_at: when the newest row was loaded; None if there are no rows.
        age_hours: its age in hours; None if there are no rows.
        limit_hours: age in hours from which the source is stale, from sources.yml.
    """

    source: str
    status: str
    loaded_at: datetime | None = None
    age_hours: float | None = None
    limit_hours: float | None = None


def nodes_of(results: Iterable[Any], changes_only: Container[str] = ()) -> list[DbtNode]:
    """Return the results of a command, without the project's own hooks that succeeded."""
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
    """Return the raw tables that a manifest declares. Tables without columns are left out."""
    found = []
    for id_, node in (manifest.sources if manifest else {}).items():
        named = {str(each.meta.get("column", each.name)).lower(): each.meta for each in node.columns.values()}
        if named:
            optional = [column for column, meta in named.items() if meta.get("optional")]
            found.append(DeclaredSource(id=id_, table=node.identifier.lower(), columns=list(named), optional=optional))
    return found


NEVER = 1
"""The year that dbt reports for the newest row of an empty table."""


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

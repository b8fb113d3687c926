"""The published tables: their columns' profiles and plots, cached until the published file changes."""

from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from blocks.duckdb_file import identifier, quoted
from blocks.lake import FILE
from blocks.published import Answer, QueryFailed, contents, read
from services.console.plot import Plot, draw, kind

MOST_NAMES = 50
"""A text column with more different values than this gets no bars."""
LOADED = "_airbyte_extracted_at"
FILES = 50
SAMPLE = 10
MOST_CELLS = 10_000_000
"""Of a larger table, only a sample is summarized."""


class Table(NamedTuple):
    """A published table. `name` is `schema.table`. If `files` is true, each of its rows names its file."""

    name: str
    rows: int
    columns: int
    files: bool = False

    @property
    def model(self) -> str:
        """The name without the schema."""
        return self.name.rpartition(".")[2]


@dataclass
class Profile:
    """A table's columns from DuckDB's SUMMARIZE, its first rows, its plot, and the newest files of its rows.

    `percent` is the share of the table that SUMMARIZE read. `problem` says why the table could not be read, if so.
    """

    plot_sql: str = ""
    columns: list[dict[str, Any]] = field(default_factory=list)
    sample: Answer = field(default_factory=Answer)
    plot: Plot | None = None
    files: Answer | None = None
    percent: float = 100
    problem: str = ""


def tables(published: Path) -> list[Table]:
    """Return the published tables, sorted by name."""
    return _tables(published, written(published))


@lru_cache(maxsize=2)
def _tables(published: Path, _written: int) -> list[Table]:
    return [
        Table(name, each.rows, len(each.columns), FILE in each.columns) for name, each in contents(published).items()
    ]


def written(file: Path) -> int:
    """Return when a file was written, in nanoseconds, or 0 if it does not exist."""
    return file.stat().st_mtime_ns if file.is_file() else 0


def profile(published: Path, table: Table) -> Profile:
    """Return the profile of a published table. If it exceeds DuckDB's limits, return at least its first rows."""
    try:
        return _profile(published, written(published), table)
    except QueryFailed as error:
        found = Profile(problem=f"The columns are not summarized, and no plot is drawn. {error}")
        with suppress(QueryFailed):
            found.sample = _first(published, table)
        return found


def _first(published: Path, table: Table) -> Answer:
    return read(published, f"from {quoted(table.name)} limit {SAMPLE}")


@lru_cache(maxsize=128)
def _profile(published: Path, _written: int, table: Table) -> Profile:
    relation = quoted(table.name)
    sample = _first(published, table)
    percent = min(100.0, 100 * MOST_CELLS / max(1, table.rows * table.columns))
    part = f" using sample {percent:f} percent (system, 1)" if percent < 100 else ""
    columns = read(published, f"summarize from {relation}{part}").records
    sql = plot_sql(relation, columns)
    files = None
    if FILE in sample.columns:
        loaded = f"max({LOADED})" if LOADED in sample.columns else "null"
        counted = f"select {FILE}, count(*), {loaded} from {relation} group by 1 order by 3 desc, 1 desc"  # noqa: S608
        files = read(published, counted, FILES)
    return Profile(sql, columns, sample, draw(read(published, sql)), files, percent)


def plot_sql(relation: str, columns: list[dict[str, Any]]) -> str:
    """Return the query for a table's plot, chosen by its columns' types. Airbyte's own columns are ignored.

    A measure is averaged over time, or else by the values of a text column. Without a measure, rows are counted. If all
    columns are numbers, the distribution of one is shown.
    """
    own = [each for each in columns if not each["column_name"].startswith("_")]
    times, numbers, names = (
        [each for each in own if kind(each["column_type"]) == wanted] for wanted in ("time", "number", "name")
    )
    # In a key, each value has one row, so a plot would say nothing. The number of values is an estimate.
    few = [each for each in names if 1 < int(each["approx_unique"] or 0) <= min(MOST_NAMES, 0.8 * int(each["count"]))]
    measures = [each["column_name"] for each in numbers if each["column_type"].startswith(("DOUBLE", "FLOAT", "DEC"))]
    if by := [*times, *few]:
        name = identifier(by[0]["column_name"])
        of, order = (f"{name}::date as {name}", "1") if times else (name, "2 desc")
        mean = [f"avg({identifier(each)}) as {identifier(f'mean {each}')}" for each in measures] or ["count(*) as rows"]
        return f"select {of}, {mean[0]} from {relation} where {name} is not null group by 1 order by {order}"  # noqa: S608
    if numbers:
        name = identifier(numbers[0]["column_name"])
        return f"select bin as {name}, count as rows from histogram_values({relation}, {name}, bin_count := 24)"  # noqa: S608
    return f"from {relation} limit 100"

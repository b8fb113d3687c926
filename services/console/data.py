"""The published tables: their columns' profiles and plots, computed once for each published version."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from blocks.duckdb_fence import fenced
from blocks.duckdb_file import identifier, quoted
from blocks.lake import FILE
from services.console.plot import draw, is_number, is_time
from services.console.query import Answer, QueryFailed, own

MOST_NAMES = 50
"""A column of text with more different values than this has no bars."""
LOADED = "_airbyte_extracted_at"
FILES = 50
SAMPLE = 10
SAMPLED = 10_000
"""How many rows a histogram is made of."""


@dataclass(frozen=True)
class Table:
    """A published table; `name` is `schema.table`."""

    name: str
    rows: int
    columns: int


@dataclass(frozen=True)
class Profile:
    """A table's columns as DuckDB's SUMMARIZE has them, a plot, its first rows, and the newest files of its rows."""

    columns: list[dict[str, Any]]
    title: str
    plot: Markup | None
    plot_sql: str
    sample: Answer
    files: Answer | None
    problem: str = ""


def version(published: Path) -> tuple[int, int, int] | None:
    """What tells one published file from the next; None where there is none."""
    try:
        stat = published.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def tables(published: Path) -> list[Table]:
    """The published tables, by name."""
    return _tables(published, version(published))


@lru_cache(maxsize=4)
def _tables(published: Path, version: tuple[int, int, int] | None) -> list[Table]:
    if version is None:
        return []
    with fenced(published) as connection:
        found = connection.execute(
            "select schema_name || '.' || table_name, estimated_size, column_count from duckdb_tables() "
            "where not internal order by all"
        ).fetchall()
    return [Table(*each) for each in found]


def profile(published: Path, table: str) -> Profile:
    """The profile of a published table."""
    return _profile(published, version(published), table)


@lru_cache(maxsize=128)
def _profile(published: Path, _version: tuple[int, int, int] | None, table: str) -> Profile:
    relation = quoted(table)
    problem, title, plot = "", "", None
    try:
        sample = own(published, f"from {relation} limit {SAMPLE}")
        summary = own(published, f"summarize {relation}")
        columns = [dict(zip(summary.columns, row, strict=True)) for row in summary.rows]
    except QueryFailed as error:
        return Profile([], "", None, f"from {relation} limit 100", Answer(), None, str(error))
    sql = plot_sql(relation, columns)
    files = None
    try:
        drawn = own(published, sql)
        title, plot = " by ".join(drawn.columns[1::-1]), draw(drawn)
        if FILE in (names := {each["column_name"] for each in columns}):
            loaded = f"max({LOADED})" if LOADED in names else "null"
            counted = f"select {FILE}, count(*), {loaded} from {relation} group by 1 order by 3 desc, 1 desc"  # noqa: S608
            files = own(published, counted, FILES)
    except QueryFailed as error:
        problem = str(error)
    return Profile(columns, title, plot, sql, sample, files, problem)


def plot_sql(relation: str, columns: list[dict[str, Any]]) -> str:
    """The query whose rows a table's plot shows, chosen by its columns' types; Airbyte's own columns have no part.

    A measure is averaged over time where there is a time, else by the values of a text; without a measure, rows are
    counted.
    """
    own = [each for each in columns if not each["column_name"].startswith("_")]
    times = [each for each in own if is_time(each["column_type"])]
    numbers = [each for each in own if is_number(each["column_type"])]
    names = [
        each
        for each in own
        if each["column_type"] in ("VARCHAR", "BOOLEAN") and 1 < int(each["approx_unique"] or 0) <= MOST_NAMES
    ]
    fractions = [each for each in numbers if each["column_type"].startswith(("DOUBLE", "FLOAT", "DECIMAL"))]
    if by := [*times, *names]:
        name = _quoted(by[0])
        of = f"{name}::date as {name}" if by[0]["column_type"].startswith("TIMESTAMP") else name
        value = f"avg({_quoted(fractions[0])}) as {_quoted(fractions[0], 'mean ')}" if fractions else "count(*) as rows"
        order = "1" if times else "2 desc"
        return f"select {of}, {value} from {relation} where {name} is not null group by 1 order by {order}"  # noqa: S608
    if numbers:
        name = _quoted(numbers[0])
        return f"select {name} from {relation} where {name} is not null using sample {SAMPLED} rows"  # noqa: S608
    return f"from {relation} limit 100"


def _quoted(column: dict[str, Any], before: str = "") -> str:
    return identifier(before + str(column["column_name"]))

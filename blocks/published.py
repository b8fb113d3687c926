"""Reads the published DuckDB file: its tables, and the rows of a query within limits."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import duckdb

from blocks.duckdb_fence import fenced
from blocks.errors import PlatformError, counted

SECONDS = 10.0
"""Maximum duration of a query."""
MEMORY_MB = 256
"""Maximum memory of a query in DuckDB, in megabytes."""
ROWS = 10_000
CELL = 1_000
"""Maximum characters of a value. Longer values are cut."""
BYTES = 4_000_000
"""Maximum size of an answer. Further rows are left out."""
LIMITS = f"{SECONDS:g} s, {MEMORY_MB} MB, {ROWS:,} rows, {BYTES // 10**6} MB of text, {CELL:,} characters of a value"
TOO_LARGE = f"The query needs more memory than its limit of {MEMORY_MB} MB. Select fewer rows, or aggregate them."
_instance_lock = Lock()
"""A process has one DuckDB instance of a file, and the first connection locks its settings."""


class QueryFailed(PlatformError):
    """A query failed. The text says why, and what to do."""


@dataclass(frozen=True)
class Contents:
    """The number of rows and the column names of a published table."""

    rows: int
    columns: list[str]


@dataclass(frozen=True)
class Answer:
    """The first rows of a query. `types` are DuckDB's types. `more` says whether there are further rows."""

    columns: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    more: bool = False
    seconds: float = 0.0

    @property
    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def contents(published: Path) -> dict[str, Contents]:
    """Return the published tables by `schema.table`; none if nothing is published yet.

    Raises:
        QueryFailed: the file cannot be read.
    """
    if not published.exists():
        return {}
    try:
        with _instance_lock, fenced(published) as connection:
            found = connection.execute(
                "select schema_name || '.' || table_name, any_value(estimated_size), "
                "list(column_name order by column_index) from duckdb_tables() join duckdb_columns() "
                "using (database_name, schema_name, table_name, internal) where not internal group by all order by 1"
            ).fetchall()
    except duckdb.Error as error:
        raise QueryFailed(str(error)) from error
    return {table: Contents(rows, columns) for table, rows, columns in found}


def change(row: Mapping[str, Any]) -> str:
    """Say what a publication changed in a table.

    Args:
        row: a row of the artifact `published-tables`, with the numbers of `rows` now and `before`, and the columns
            `added` and `removed`.
    """
    if not row["before"] and not row["removed"]:
        return f"new, {counted(row['rows'], 'row')}"
    said = f"{row['before']:,} → {row['rows']:,} rows ({row['rows'] - row['before']:+,})"
    columns = [f"{kind} columns {row[key]}" for kind, key in (("new", "added"), ("removed", "removed")) if row[key]]
    return ", ".join([said, *columns])


def changed(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the artifact's rows for tables whose columns or number of rows changed."""
    return [each for each in rows if each["rows"] != each["before"] or each["added"] or each["removed"]]


def read(published: Path, sql: str, most: int = ROWS) -> Answer:
    """Run statements, and return the rows of the last one that has a result, as JSON values. Times are in UTC.

    Raises:
        QueryFailed: DuckDB reports an error, or a limit is reached.
    """
    limits = {"memory_limit": f"{MEMORY_MB}MB", "threads": "2", "TimeZone": "UTC"}
    limits |= {"temp_directory": "", "max_temp_directory_size": "0KB"}
    found = Answer()
    try:
        with _instance_lock, fenced(published, limits=limits) as connection:
            timer = Timer(SECONDS, connection.interrupt)
            timer.daemon = True
            timer.start()
            try:
                statements = connection.extract_statements(sql)
                if not statements:
                    raise QueryFailed("Enter a statement that reads tables, for example: show all tables")
                for statement in statements:
                    connection.execute(statement)
                    if columns := connection.description:
                        rows, more = _rows(connection, most)
                        found = Answer([each[0] for each in columns], [str(each[1]) for each in columns], rows, more)
            finally:
                timer.cancel()
    except (duckdb.OutOfMemoryException, MemoryError):
        raise QueryFailed(TOO_LARGE) from None
    except duckdb.Error as error:
        raise QueryFailed(str(error)[:2_000]) from error
    return found


def _rows(connection: duckdb.DuckDBPyConnection, most: int) -> tuple[list[list[Any]], bool]:
    rows: list[list[Any]] = []
    size = 0
    while (row := connection.fetchone()) is not None:
        plain = [_plain(value) for value in row]
        size += sum(len(str(value)) + 4 for value in plain)
        if len(rows) == most or size > BYTES:
            return rows, True
        rows.append(plain)
    return rows, False


def _plain(value: Any) -> Any:
    """Convert a value to a JSON value. A nested value becomes text, and long text is cut."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = json.dumps(_keyed(value), default=str, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= CELL else f"{text[:CELL]}…"


def _keyed(value: Any) -> Any:
    """Convert the keys of maps in a nested value to text, as JSON requires."""
    if isinstance(value, dict):
        return {str(key): _keyed(each) for key, each in value.items()}
    return [_keyed(each) for each in value] if isinstance(value, list) else value

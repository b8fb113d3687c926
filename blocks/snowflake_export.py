"""Exports a Snowflake table to a Parquet file."""

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from blocks.lake import AIRBYTES

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

MOST_ROWS = 200_000
"""Maximum number of rows to write, the newest ones."""
PIECE = 5_000
"""Number of rows to fetch at a time."""
TYPES = {
    "FLOAT": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP_NTZ": "TIMESTAMP",
    "TIMESTAMP_TZ": "TIMESTAMPTZ",
    "TIMESTAMP_LTZ": "TIMESTAMPTZ",
    "VARIANT": "JSON",
    "OBJECT": "JSON",
    "ARRAY": "JSON",
}
"""DuckDB's types for Snowflake's types. Columns of other types become text."""


def quoted(name: str) -> str:
    """Quote a name for a statement with parameters."""
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


def export(cursor: "SnowflakeCursor", schema: str, table: str, target: Path) -> None:
    """Write the newest rows of a table, without Airbyte's own columns, to a Parquet file."""
    cursor.execute(
        "select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns "
        "where table_schema = %s and table_name = %s order by ordinal_position",
        (schema.upper(), table),
    )
    columns = {
        str(name): _type(str(type_), precision, scale)
        for name, type_, precision, scale in cursor.fetchall()
        if not str(name).lower().startswith(AIRBYTES)
    }
    cursor.execute(
        f"select {', '.join(map(quoted, columns))} from {schema}.{quoted(table)} "  # noqa: S608 - from the catalogue
        "order by _airbyte_extracted_at desc limit %s",
        (MOST_ROWS,),
    )
    lines = target.with_suffix(".jsonl")
    with lines.open("w", encoding="utf-8") as out:
        for row in _rows(cursor):
            out.write(json.dumps(dict(zip(columns, map(_text, row), strict=True))) + "\n")
    names = {name: '"' + name.replace('"', '""') + '"' for name in columns}
    fields = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in columns)
    selected = ", ".join(f"{names[name]}::{type_} AS {names[name].lower()}" for name, type_ in columns.items())
    source = f"read_json({_literal(str(lines))}, format = 'newline_delimited', columns = {{{fields}}})"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (SELECT {selected} FROM {source}) TO {_literal(str(target))} (FORMAT parquet)")  # noqa: S608


def _rows(cursor: "SnowflakeCursor") -> Iterator[Sequence[Any]]:
    while rows := cursor.fetchmany(PIECE):
        yield from rows


def _type(type_: str, precision: Any, scale: Any) -> str:
    if type_ in ("NUMBER", "DECIMAL"):
        if int(scale or 0) == 0:
            return "BIGINT"
        return f"DECIMAL({precision},{scale})"
    return TYPES.get(type_, "VARCHAR")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

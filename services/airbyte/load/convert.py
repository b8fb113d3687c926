"""Convert a source file to a Parquet file with the stream's columns and Airbyte's own, with DuckDB."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from services.airbyte.catalog.like_airbyte import DATE_FORMAT
from services.airbyte.formats import SourceFile, sql
from services.airbyte.formats.model import ROW_NUMBER, Field, Reading

MAX_DICTIONARY_VALUES = 5000
"""A column with more distinct values in a row group is written without a dictionary. DuckDB's default, a fifth of the
rows, is slower: DuckDB first hashes many values of `_airbyte_raw_id`, which are all distinct."""
NULLED = ("NULLED", "DESTINATION_TYPECAST_ERROR")
TRUNCATED = ("TRUNCATED", "DESTINATION_FIELD_SIZE_LIMITATION")
"""The change and reason in `_airbyte_meta` for a value that was lost, and for one that was kept in part."""
WIDE_COLUMNS = 200
"""A file with more columns is wide. The writer reserves memory for each dictionary in advance, so a wide file gets
smaller dictionaries. DuckDB compares all expressions in pairs to find common ones, so that is off for a wide file."""
MAX_BUFFERED_VALUES = 8_000_000
"""The most values that the writer buffers for a row group. A wide file gets row groups with fewer rows."""
STARTS_WITH_YEAR = "^ *[0-9]{4}"
"""The text of a date must start like this. DuckDB also accepts "epoch" as a date, and 13-01-02 as in the year 13."""
MIN_ROW_GROUP, MAX_ROW_GROUP = 2048, 122_880
"""Rows in DuckDB's smallest row group and in its default one."""


@dataclass(frozen=True)
class Origin:
    """Where a file's rows come from. Airbyte's columns contain it."""

    key: str
    last_modified: datetime
    sync_id: int
    generation: int
    date_as_text: bool = False
    strict_json: bool = False  # object columns reject arrays; array columns accept only arrays


def connect(memory_limit: str, threads: int | None, spill_dir: Path) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(spill_dir),
        "preserve_insertion_order": False,
    }
    connection = duckdb.connect(config=config | ({"threads": threads} if threads else {}))
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def write_empty(
    connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str], target: Path, date_as_text: bool = False
) -> None:
    """Write a Parquet file with all columns and no rows, so that a reader's glob always matches a file."""
    origin = Origin("", datetime.now(UTC), 0, 0, date_as_text)
    declared = [f"NULL::{sql.DUCKDB_TYPES[type_]} AS {sql.name(name)}" for name, type_ in columns.items()]
    query = f"SELECT {', '.join(declared + _airbyte_columns(origin, [], ROW_NUMBER))} LIMIT 0"
    copy(connection, query, target, len(columns))


def to_parquet(
    connection: duckdb.DuckDBPyConnection,
    source: SourceFile,
    target: Path,
    columns: Mapping[str, str],
    names: Sequence[str],
    origin: Origin,
) -> int:
    """Write the source's rows to `target` with the column names `names`; return the number of rows.

    A value that does not fit its column's type becomes null, and `_airbyte_meta` records that. `_airbyte_raw_id`
    ascends in the order of the file's rows, so that the last of several rows with the same key can be found.

    Raises:
        BadFile: the file cannot be read.
    """
    if not source.names:
        return 0
    last_error: duckdb.Error | None = None
    for reading in source.readings(columns):
        try:
            return copy(connection, _select(reading, columns, names, origin), target, len(columns))
        except duckdb.OperationalError as error:
            if str(source.path) not in str(error):
                raise  # the disk or the memory failed, not the file
            last_error = error
        except duckdb.Error as error:
            last_error = error
    raise source.bad_file(last_error or duckdb.Error("it cannot be read")) from None


def _select(reading: Reading, columns: Mapping[str, str], names: Sequence[str], origin: Origin) -> str:
    found = {field.name.lower(): field for field in reading.fields}
    selected, changes = [], []
    for (name, type_), alias in zip(columns.items(), names, strict=True):
        field = found.get(name.lower(), Field(name, "NULL", type_))
        value, is_lost, truncated = _value(field, type_, origin.strict_json)
        selected.append(f"{value} AS {sql.name(alias)}")
        if is_lost:
            changes.append(f"CASE WHEN {is_lost} THEN {_change(name, *NULLED)} END")
        if truncated:
            changes.append(f"CASE WHEN {truncated} THEN {_change(name, *TRUNCATED)} END")
    selected += _airbyte_columns(origin, changes, reading.row)
    return f"SELECT {', '.join(selected)} FROM {reading.relation}"  # noqa: S608 - names and texts are quoted


def _change(name: str, change: str, reason: str) -> str:
    return sql.text(json.dumps({"field": name, "change": change, "reason": reason}))


def _value(field: Field, type_: str, strict_json: bool) -> tuple[str, str, str]:
    """Return SQL for the value in this type, for whether it is lost, and for whether only a part of it is kept."""
    duckdb_type = sql.DUCKDB_TYPES[type_]
    kind = sql.NESTED.get(type_) if strict_json and field.type != type_ else ""
    if field.type in sql.NESTED and type_ in sql.NESTED:
        is_invalid = sql.has_not_finite(f"({field.sql})::VARCHAR")
        is_invalid += f" OR json_type({field.sql}) <> '{kind}'" if kind else ""
        return f"CASE WHEN NOT ({is_invalid}) THEN ({field.sql})::{duckdb_type} END", is_invalid, field.truncated
    if type_ in (field.type, "string"):
        return f"({field.sql})::{duckdb_type}", "", field.truncated
    if (field.type, type_) == ("integer", "number"):
        return f"({field.sql})::DOUBLE", "", f"({field.sql})::DOUBLE::HUGEINT <> ({field.sql})::HUGEINT"
    text = f"({field.sql})::VARCHAR"
    cast_value = _cast_text(text, type_, kind or "")
    truncated = " OR ".join(f"({each})" for each in (field.truncated, _loses_part(text, type_)) if each)
    return cast_value, f"{field.sql} IS NOT NULL AND ({cast_value}) IS NULL", truncated


def _cast_text(text: str, type_: str, kind: str) -> str:
    """Return SQL that casts the text to the type, or yields null if that fails. Fractions are not cast to integers."""
    cast = f"TRY_CAST({text} AS {sql.DUCKDB_TYPES[type_]})"
    if type_ == "number":
        return f"CASE WHEN isfinite({cast}) THEN {cast} END"
    if type_ in sql.FINITE:
        return f"CASE WHEN isfinite({cast}) AND regexp_matches({text}, '{STARTS_WITH_YEAR}') THEN {cast} END"
    if type_ in sql.NESTED:
        right = f" AND json_type({cast}) = '{kind}'" if kind else ""
        return f"CASE WHEN NOT ({sql.has_not_finite(text)}){right} THEN {cast} END"
    return f"CASE WHEN {_is_whole(text, cast)} THEN {cast} END" if type_ == "integer" else cast


def _loses_part(text: str, type_: str) -> str:
    """Return SQL for whether the type loses digits of a number or a part of a time."""
    cast = f"TRY_CAST({text} AS {sql.DUCKDB_TYPES[type_]})"
    is_finer = f"regexp_matches({text}, '[.][0-9]{{6}}[0-9]*[1-9]')"
    match type_:
        case "number":
            return f"isfinite({cast}) AND NOT ({sql.is_exact(text, cast)})"
        case "timestamp_with_timezone":
            return f"isfinite({cast}) AND {is_finer}"
        case "timestamp_without_timezone" | "date":  # both are kept in UTC; an offset is lost
            has_offset = f"{cast}::TIMESTAMPTZ IS DISTINCT FROM TRY_CAST({text} AS TIMESTAMPTZ)"
            return f"isfinite({cast}) AND ({is_finer} OR {has_offset})"
    return ""


def _is_whole(text: str, number: str) -> str:
    return f"{sql.digits(f'{number}::VARCHAR')} = {sql.digits(text)}"


def _airbyte_columns(origin: Origin, changes: list[str], row: str) -> list[str]:
    """Return SQL for Airbyte's columns; each of `changes` is SQL for one entry of the list of changes, or null.

    `_airbyte_raw_id` is a random UUID for each file, with the row's number at its end. Ten million random UUIDs would
    take as long as the rest of the file.
    """
    before = f'{{"sync_id": {origin.sync_id}, "changes": ['
    meta = _constant(f"{before}]}}")
    date = f"{sql.text(origin.last_modified.isoformat())}::TIMESTAMPTZ"
    if origin.date_as_text:
        date = _constant(origin.last_modified.astimezone(UTC).strftime(DATE_FORMAT))
    if changes:
        meta = f"concat({sql.text(before)}, concat_ws(',', {', '.join(changes)}), ']}}')"
    return [
        f"{_row_id(row)} AS _airbyte_raw_id",
        f"{sql.text(datetime.now(UTC).isoformat())}::TIMESTAMPTZ AS _airbyte_extracted_at",
        f"{meta} AS _airbyte_meta",
        f"{origin.generation}::BIGINT AS _airbyte_generation_id",
        f"{_constant(origin.key)} AS _ab_source_file_url",
        f"{date} AS _ab_source_file_last_modified",
    ]


def _constant(value: str) -> str:
    """Return SQL for a text that is the same in all rows. An enum is written like text, without a lookup per row."""
    return f"{sql.text(value)}::ENUM ({sql.text(value)})"


def _row_id(row: str) -> str:
    return f"{sql.text(str(uuid4())[:24])} || ({row} + 100000000000)::VARCHAR"


def copy(
    connection: duckdb.DuckDBPyConnection, query: str, target: Path, width: int, values: Sequence[Any] = ()
) -> int:
    """Write the rows of a query with `width` columns to a Parquet file; return their number."""
    rows = min(max(MAX_BUFFERED_VALUES // max(width, 1) // MIN_ROW_GROUP, 1) * MIN_ROW_GROUP, MAX_ROW_GROUP)
    distinct = MAX_DICTIONARY_VALUES * WIDE_COLUMNS // max(width, WIDE_COLUMNS)
    connection.execute(f"SET disabled_optimizers = '{'common_subexpressions' if width > WIDE_COLUMNS else ''}'")
    options = f"FORMAT parquet, ROW_GROUP_SIZE {rows}, DICTIONARY_SIZE_LIMIT {distinct}"
    row = connection.execute(f"COPY ({query}) TO {sql.text(str(target))} ({options})", values).fetchone()
    return int(row[0]) if row else 0

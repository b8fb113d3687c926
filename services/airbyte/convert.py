"""One file of a source to one Parquet file with the stream's columns and Airbyte's own, by DuckDB."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import duckdb

from services.airbyte import sql
from services.airbyte.formats import SourceFile
from services.airbyte.formats.model import NUMBER, Field, Reading

DISTINCT = 5000
"""How many values of a column a row group may have before its writer gives up on a dictionary. DuckDB's own, a fifth of
the rows, has it hash many `_airbyte_raw_id` first, which all differ."""


@dataclass(frozen=True)
class Origin:
    """Where a file's rows come from, for Airbyte's columns."""

    key: str
    last_modified: datetime
    sync_id: int
    generation: int


def connect(memory_limit: str, threads: int | None, spill_dir: Path) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(spill_dir),
        "preserve_insertion_order": False,
    }
    connection = duckdb.connect(config=config | ({"threads": threads} if threads else {}))
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def write_empty(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str], target: Path) -> None:
    """A Parquet file with no row and every column, so that a reader's glob always matches."""
    origin = Origin("", datetime.now(UTC), 0, 0)
    declared = [_cast("NULL", name, type_) for name, type_ in columns.items()]
    _copy(connection, f"SELECT {', '.join(declared + _airbyte_columns(origin, [], NUMBER))} LIMIT 0", target)


def to_parquet(
    connection: duckdb.DuckDBPyConnection,
    source: SourceFile,
    target: Path,
    columns: Mapping[str, str],
    names: Sequence[str],
    origin: Origin,
) -> int:
    """Write `target`, its columns called `names`; return its rows.

    A value that does not fit its type is null and noted in `_airbyte_meta`. `_airbyte_raw_id` grows with the file's
    rows, so that the last of several rows with one key is found.
    """
    if not source.names:
        return 0
    wrong: duckdb.Error | None = None
    for reading in source.readings(columns):
        try:
            return _copy(connection, _select(reading, columns, names, origin), target)
        except duckdb.OperationalError as error:
            if str(source.path) not in str(error):
                raise  # the disk or the memory, which is not the file's fault
            wrong = error
        except duckdb.Error as error:
            wrong = error
    raise source.bad_file(wrong or duckdb.Error("it cannot be read")) from None


def _select(reading: Reading, columns: Mapping[str, str], names: Sequence[str], origin: Origin) -> str:
    found = {field.name.lower(): field for field in reading.fields}
    selected, changes = [], []
    for (name, type_), alias in zip(columns.items(), names, strict=True):
        field = found.get(name.lower(), Field(name, "NULL", type_))
        if field.cut:
            change = _change(name, "TRUNCATED", "DESTINATION_FIELD_SIZE_LIMITATION")
            changes.append(f"CASE WHEN {field.cut} THEN {change} END")
        if type_ in (field.type, "string") or (field.type, type_) == ("integer", "number"):
            selected.append(_cast(field.sql, alias, type_))
        else:
            fitted = _fitted(f"({field.sql})::VARCHAR", type_)
            change = _change(name, "NULLED", "DESTINATION_TYPECAST_ERROR")
            changes.append(f"CASE WHEN {field.sql} IS NOT NULL AND ({fitted}) IS NULL THEN {change} END")
            selected.append(f"{fitted} AS {sql.name(alias)}")
    selected += _airbyte_columns(origin, changes, reading.row)
    return f"SELECT {', '.join(selected)} FROM {reading.relation}"  # noqa: S608 - names and texts are quoted


def _change(name: str, change: str, reason: str) -> str:
    return sql.text(json.dumps({"field": name, "change": change, "reason": reason}))


def _cast(value: str, name: str, type_: str) -> str:
    return f"({value})::{sql.DUCKDB_TYPES[type_]} AS {sql.name(name)}"


def _fitted(text: str, type_: str) -> str:
    """Return SQL for the text as a value of the type; null if it is not one. A fraction is not an integer."""
    cast = f"TRY_CAST({text} AS {sql.DUCKDB_TYPES[type_]})"
    double = f"TRY_CAST({text} AS DOUBLE)"
    if type_ in sql.FINITE:
        return f"CASE WHEN isfinite({cast}) THEN {cast} END"
    return f"CASE WHEN {double} = floor({double}) THEN {cast} END" if type_ == "integer" else cast


def _airbyte_columns(origin: Origin, changes: list[str], row: str) -> list[str]:
    """Airbyte's columns; each of `changes` is SQL for one entry of the list of changes, or null.

    `_airbyte_raw_id` is a random UUID of the file that ends in the row's number: ten million random ones cost as much
    as the rest of a file.
    """
    before = f'{{"sync_id": {origin.sync_id}, "changes": ['
    meta = _constant(f"{before}]}}")
    if changes:
        meta = f"concat({sql.text(before)}, concat_ws(',', {', '.join(changes)}), ']}}')"
    return [
        f"{_numbered(row)} AS _airbyte_raw_id",
        f"{sql.text(datetime.now(UTC).isoformat())}::TIMESTAMPTZ AS _airbyte_extracted_at",
        f"{meta} AS _airbyte_meta",
        f"{origin.generation}::BIGINT AS _airbyte_generation_id",
        f"{_constant(origin.key)} AS _ab_source_file_url",
        f"{sql.text(origin.last_modified.isoformat())}::TIMESTAMPTZ AS _ab_source_file_last_modified",
    ]


def _constant(value: str) -> str:
    """A text that all rows have, as an enum of one: written as any text, but nothing is looked up for each row."""
    return f"{sql.text(value)}::ENUM ({sql.text(value)})"


def _numbered(row: str) -> str:
    return f"{sql.text(str(uuid4())[:24])} || ({row} + 100000000000)::VARCHAR"


def _copy(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> int:
    options = f"FORMAT parquet, DICTIONARY_SIZE_LIMIT {DISTINCT}"
    row = connection.execute(f"COPY ({query}) TO {sql.text(str(target))} ({options})").fetchone()
    return int(row[0]) if row else 0

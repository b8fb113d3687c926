"""One CSV file to one Parquet file with the stream's columns and Airbyte's own, by DuckDB."""

import csv
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

DUCKDB_TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp_with_timezone": "TIMESTAMPTZ",
    "date": "DATE",
}
RESERVED = ("_airbyte_", "_ab_")


class BadFile(Exception):
    """The file cannot be parsed; `line` counts from 1, None where the parser does not say."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


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


def write_empty(connection: duckdb.DuckDBPyConnection, columns: dict[str, str], target: Path) -> None:
    """A Parquet file with no row and every declared column, so that a reader's glob always matches."""
    origin = Origin("", datetime.now(UTC), 0, 0)
    declared = [f"NULL::{DUCKDB_TYPES[type_]} AS {_name(name)}" for name, type_ in columns.items()]
    _copy(connection, f"SELECT {', '.join(declared + _airbyte_columns(origin, '[]'))} LIMIT 0", target)


def csv_to_parquet(
    connection: duckdb.DuckDBPyConnection,
    source: Path,
    target: Path,
    columns: dict[str, str],
    origin: Origin,
    fractions: bool,
) -> int:
    """Write `target`; return its rows. `fractions` says that a number in the file may have a fractional part.

    Rows are cast while they are parsed. Only when a value does not fit its type is the file read again as text, to
    null that value and note it in `_airbyte_meta`, as Airbyte's typing does.
    """
    header = read_header(source)
    if header is None:
        return 0
    try:
        return _copy(connection, _select(source, header, columns, origin, guarded=fractions), target)
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        pass
    try:
        return _copy(connection, _select_nulling(source, header, columns, origin), target)
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise _bad_file(str(error)) from None


def read_header(source: Path) -> list[str] | None:
    """The column names in the file's order; None when the file is empty."""
    with source.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        try:
            header = next(csv.reader(lines, strict=True), None)
        except csv.Error as error:
            raise BadFile(f"the header cannot be read: {error}", 1) from None
    if header is None:
        return None
    seen: set[str] = set()
    for position, name in enumerate(header, start=1):
        if re.search("[\udc80-\udcff]", name):
            raise BadFile(f"column {position} of the header is not UTF-8", 1)
        if not name.strip():
            raise BadFile(f"column {position} of the header has no name", 1)
        if name.lower() in seen:
            raise BadFile(f"the header names column {name!r} twice", 1)
        if name.lower().startswith(RESERVED):
            raise BadFile(f"the header names column {name!r}, a name that Airbyte keeps for itself", 1)
        seen.add(name.lower())
    return header or None


def _select(source: Path, header: list[str], columns: dict[str, str], origin: Origin, guarded: bool) -> str:
    """Cast while parsing.

    DuckDB rounds 1.5 to an integer 2 without a word, so `guarded` reads integers as doubles and stops at one that is
    not whole, or too large for a double to be exact.
    """
    types, found = [], _positions(header)
    selected = []
    declared = {name.lower(): type_ for name, type_ in columns.items()}
    for name in header:
        type_ = declared.get(name.lower(), "string")
        types.append("DOUBLE" if guarded and type_ == "integer" else DUCKDB_TYPES[type_])
    for name, type_ in columns.items():
        field = found.get(name.lower())
        if field is None:
            selected.append(f"NULL::{DUCKDB_TYPES[type_]} AS {_name(name)}")
        elif guarded and type_ == "integer":
            whole = f"{field} IS NULL OR ({field} = floor({field}) AND abs({field}) < 9007199254740992)"
            selected.append(
                f"CASE WHEN {whole} THEN {field}::BIGINT ELSE error('no integer')::BIGINT END AS {_name(name)}"
            )
        else:
            selected.append(f"{field} AS {_name(name)}")
    selected += _added(header, columns) + _airbyte_columns(origin, "[]")
    return f"SELECT {', '.join(selected)} FROM {_read_csv(source, types)}"  # noqa: S608 - names and texts are quoted


def _select_nulling(source: Path, header: list[str], columns: dict[str, str], origin: Origin) -> str:
    """Read text, cast what can be cast, and list what could not."""
    found = _positions(header)
    selected, changes = [], []
    for name, type_ in columns.items():
        field = found.get(name.lower(), "NULL::VARCHAR")
        cast = f"TRY_CAST({field} AS {DUCKDB_TYPES[type_]})"
        if type_ == "integer":
            double = f"TRY_CAST({field} AS DOUBLE)"
            cast = f"CASE WHEN {double} = floor({double}) THEN {cast} END"
        selected.append(f"{cast} AS {_name(name)}")
        if name.lower() in found and type_ != "string":
            change = json.dumps({"field": name, "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"})
            changes.append(f"CASE WHEN {field} IS NOT NULL AND ({cast}) IS NULL THEN {_text(change)} END")
    listed = f"concat('[', concat_ws(',', {', '.join(changes)}), ']')" if changes else "'[]'"
    selected += _added(header, columns) + _airbyte_columns(origin, listed)
    return f"SELECT {', '.join(selected)} FROM {_read_csv(source, ['VARCHAR'] * len(header))}"  # noqa: S608 - names and texts are quoted


def _airbyte_columns(origin: Origin, changes: str) -> list[str]:
    """Airbyte's columns; `changes` is SQL for a JSON list as text ("[]" is taken for that text itself)."""
    before = _text(f'{{"sync_id": {origin.sync_id}, "changes": ')
    meta = (
        _text(f'{{"sync_id": {origin.sync_id}, "changes": []}}')
        if changes == "[]"
        else f"concat({before}, {changes}, '}}')"
    )
    return [
        "uuid()::VARCHAR AS _airbyte_raw_id",
        f"{_text(datetime.now(UTC).isoformat())}::TIMESTAMPTZ AS _airbyte_extracted_at",
        f"{meta} AS _airbyte_meta",
        f"{origin.generation}::BIGINT AS _airbyte_generation_id",
        f"{_text(origin.key)} AS _ab_source_file_url",
        f"{_text(origin.last_modified.isoformat())}::TIMESTAMPTZ AS _ab_source_file_last_modified",
    ]


def _positions(header: list[str]) -> dict[str, str]:
    return {name.lower(): f"f{position}" for position, name in enumerate(header)}


def _added(header: list[str], columns: dict[str, str]) -> list[str]:
    declared = {name.lower() for name in columns}
    found = _positions(header)
    return [f"{found[name.lower()]} AS {_name(name)}" for name in header if name.lower() not in declared]


def _read_csv(source: Path, types: list[str]) -> str:
    fields = ", ".join(f"'f{position}': '{type_}'" for position, type_ in enumerate(types))
    return (
        f"read_csv({_text(str(source))}, columns = {{{fields}}}, auto_detect = false, header = true, delim = ',', "
        "quote = '\"', escape = '\"', nullstr = '', null_padding = false, strict_mode = true)"
    )


def _copy(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> int:
    row = connection.execute(f"COPY ({query}) TO {_text(str(target))} (FORMAT parquet)").fetchone()
    return int(row[0]) if row else 0


def _bad_file(error: str) -> BadFile:
    """DuckDB's message without the row's own text, its advice and the dump of its options."""
    line = re.search(r"CSV Error on Line: (\d+)", error)
    said = re.split(r"\n\s*(?:Possible|file =)", error)[0].strip().splitlines()
    reason = said[-1] if line else said[0].removeprefix("Invalid Input Error: ")
    return BadFile(reason, int(line.group(1)) if line else None)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

"""Parquet files, which declare their own columns."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

import duckdb

from services.airbyte.formats import sql
from services.airbyte.formats.model import (
    ROW_NUMBER,
    SUFFIX_ADVICE,
    BadFile,
    Field,
    Limits,
    Reading,
    TooLarge,
    check_names,
    check_rows,
    size,
    without_path,
)
from services.airbyte.formats.settings import ParquetFormat

ROW_NUMBER_COLUMN = "file_row_number"  # a virtual column of DuckDB's Parquet reader
_SIZES = """SELECT (SELECT sum(num_rows) FROM parquet_file_metadata(?))::BIGINT,
                   (SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata(?))::BIGINT"""

_LARGE_DICTIONARIES = """SELECT path_in_schema FROM parquet_metadata(?)
               WHERE type = 'BYTE_ARRAY' AND encodings LIKE '%DICTIONARY%' GROUP BY path_in_schema
               HAVING sum(num_values::HUGEINT * total_uncompressed_size) > ?"""
"""Columns whose values may exceed a limit through repeated dictionary entries. The file's size counts an entry once."""
_SCHEMA = """SELECT name, coalesce(num_children, 0), CASE
                 WHEN type = 'INT96' THEN 'INT96'
                 WHEN type = 'FIXED_LEN_BYTE_ARRAY' AND precision > 38 THEN 'wide decimal'
                 WHEN type LIKE '%BYTE_ARRAY' AND converted_type IS NULL AND logical_type IS NULL THEN 'binary'
             END FROM parquet_schema(?) ORDER BY column_id"""
"""The file's columns, each followed by its nested parts, and types that DuckDB does not read exactly: decimals of more
than 38 digits become doubles, and INT96 has nanoseconds. DESCRIBE is not enough: DuckDB changes empty and duplicate
names."""
_EMPTY = """SELECT path_in_schema FROM parquet_metadata(?)
            GROUP BY path_in_schema HAVING bool_and(stats_null_count = num_values)"""
"""Columns without values. Their type means nothing, because writers choose any."""
LAST_TIME = (2**63 - 1) // 1000
"""The last time that 64-bit nanoseconds can express, in microseconds since 1970."""
_LENGTH = {"VARCHAR": "strlen", "BLOB": "octet_length"}


class ParquetFile:
    """A folder such as `year=2013` in the object's key is a column of all rows, as in source-s3."""

    skipped = 0

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, key: str, path: Path, limits: Limits, chosen: ParquetFormat
    ) -> None:
        self.path = path
        self._decimal = "number" if chosen.decimal_as_float else "string"
        # The local path has no meaning; the folders of the object's key are handled below.
        self._relation = f"read_parquet({sql.text(str(path))}, hive_partitioning = false)"
        found, self._rows, grown = [], 0, 0
        columns: list[tuple[str, set[str]]] = []
        try:
            if path.stat().st_size:
                found = connection.execute(f"DESCRIBE FROM {self._relation}").fetchall()
                columns = _columns(connection.execute(_SCHEMA, [str(path)]).fetchall())
                self._rows, grown = connection.execute(_SIZES, [str(path)] * 2).fetchall()[0]
        except duckdb.Error as error:
            raise self.bad_file(error) from None
        if max(grown, self._rows * len(found)) > limits.file_bytes:
            what = f"its {self._rows:,} rows of {len(found):,} columns"
            raise TooLarge(f"{what} are larger than {size(limits.file_bytes)} when decompressed", "MAX_FILE_SIZE")
        check_names([name for name, _ in columns], "the file", limits.columns)
        self._types = {row[0]: row[1] for row in found}
        self._inexact = dict(columns)
        for name, parts in columns:
            if "binary" in parts and self._types.get(name) != "BLOB":
                raise BadFile(f"column {name!r} has nested binary values. Convert them to text, such as base64")
        self._empty: set[str] = set()
        if found:
            self._check_dictionaries(connection, limits.file_bytes)
            self._empty = {row[0] for row in connection.execute(_EMPTY, [str(path)]).fetchall()}
        folders = map(unquote, key.split("/")[:-1]) if found else ()
        own = {name.lower() for name in self._types}
        named = (folder.split("=", 1) for folder in folders if "=" in folder)
        self._folders = {name: value for name, value in named if name.lower() not in own}
        self.names = [*self._types, *self._folders]
        check_names(self.names, "the file", limits.columns)

    def _check_dictionaries(self, connection: duckdb.DuckDBPyConnection, limit: int) -> None:
        """Measure columns that may repeat a few long values. It is fast: DuckDB looks at each dictionary entry once."""
        repeated = [row[0] for row in connection.execute(_LARGE_DICTIONARIES, [str(self.path), limit]).fetchall()]
        lengths = [
            f"coalesce(sum({_LENGTH[self._types[name]]}({sql.name(name)}))::HUGEINT, 0)"
            for name in repeated
            if self._types.get(name) in _LENGTH
        ]
        if not lengths:
            return
        try:
            row = connection.execute(f"SELECT {' + '.join(lengths)} FROM {self._relation}").fetchone()  # noqa: S608 - quoted
        except duckdb.Error as error:
            raise self.bad_file(error) from None
        if row and row[0] > limit:
            what = f"the text of its {self._rows:,} rows is {size(int(row[0]))}"
            raise TooLarge(f"{what}, which is more than {size(limit)}", "MAX_FILE_SIZE")

    def infer(self) -> dict[str, str]:
        """Return the types that the file declares; columns without values are left out."""
        if not self._rows:
            return {}
        types = {name: self._type(name) for name in self._types if name not in self._empty}
        return types | dict.fromkeys(self._folders, "string")

    @property
    def empty(self) -> Mapping[str, str]:
        """Return the types that the file declares for columns without values."""
        return {name: self._type(name) for name in self._empty & self._types.keys()}

    def _type(self, name: str) -> str:
        type_ = self._types[name]
        return self._decimal if _is_decimal(type_) else sql.column_type(type_)

    def readings(self, _columns: Mapping[str, str]) -> Iterator[Reading]:
        """Yield a reading with typed values, then one with numbers and times as text, for files with infinite ones."""
        is_row_number_hidden = any(name.lower() == ROW_NUMBER_COLUMN for name in self.names)
        for as_text in (False, True):
            fields = [self._field(name, as_text) for name in self.names]
            yield Reading(self._relation, fields, ROW_NUMBER if is_row_number_hidden else ROW_NUMBER_COLUMN)

    def _field(self, name: str, as_text: bool) -> Field:
        if name in self._folders:
            return Field(name, sql.text(self._folders[name]))
        quoted, duckdb_type = sql.name(name), self._types[name]
        if _is_decimal(duckdb_type):
            rounded = f"TRY_CAST({quoted}::DOUBLE AS {duckdb_type}) IS DISTINCT FROM {quoted}"
            truncated = rounded if self._decimal == "number" else ""
            return Field(name, f"{quoted}::{sql.DUCKDB_TYPES[self._decimal]}", self._decimal, truncated)
        type_ = sql.column_type(duckdb_type)
        if duckdb_type in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
            return _nanoseconds(name, type_)
        truncated = self._loses_part(name)
        if type_ in sql.FINITE:
            text = f"{quoted}::{sql.DUCKDB_TYPES[type_]}::VARCHAR"
            value = text if as_text else sql.finite(quoted, type_)
            return Field(name, value, "string" if as_text else type_, truncated)
        nested = type_ in sql.NESTED and duckdb_type != "JSON"
        value = f"decode({quoted})" if duckdb_type == "BLOB" else f"to_json({quoted})" if nested else quoted
        return Field(name, value, type_, truncated)

    def _loses_part(self, name: str) -> str:
        """Return SQL that is true for a value that DuckDB may have silently truncated or rounded."""
        inexact, quoted = self._inexact[name], sql.name(name)
        if "INT96" in inexact and self._types[name] == "TIMESTAMP":
            return f"isfinite({quoted}) AND epoch_us({quoted}) % 1000000 <> 0"
        if "TIMESTAMP" in self._types[name] and sql.column_type(self._types[name]) in sql.NESTED:
            return f"regexp_matches(to_json({quoted})::VARCHAR, '\"-?infinity\"')"
        return f"{quoted} IS NOT NULL" if inexact & {"INT96", "wide decimal"} else ""

    def check(self, written: int) -> None:
        """Raise BadFile unless `written` is the number of rows that the file declares."""
        check_rows(written, self._rows)

    def bad_file(self, error: duckdb.Error) -> BadFile:
        if "decode" in str(error):
            return BadFile(
                "a binary column has a value that is not UTF-8 text. Convert the column to text, such as base64"
            )
        if "convert Timestamp" in str(error):
            return BadFile("a time is outside the range of 64-bit microseconds. Correct it")
        with self.path.open("rb") as data:
            begins = data.read(4) == b"PAR1"
        if not begins:
            return BadFile(f"it is not a Parquet file. {SUFFIX_ADVICE}")
        return BadFile(f"the Parquet file is broken or incomplete ({without_path(error, self.path)}). Upload it again")


def _nanoseconds(name: str, type_: str) -> Field:
    """Return a field for times in nanoseconds, which DuckDB would round or fail to cast.

    DuckDB reads the first and the last possible time, such as pandas.Timestamp.max, as infinite.
    """
    quoted = sql.name(name)
    micros = f"epoch_ns({quoted}) // 1000 - (epoch_ns({quoted}) % 1000 < 0)::BIGINT"
    micros = f"CASE {quoted} WHEN 'infinity' THEN {LAST_TIME} WHEN '-infinity' THEN -{LAST_TIME} - 1 ELSE {micros} END"
    truncated = f"{quoted} IS NOT NULL AND coalesce(epoch_ns({quoted}) % 1000 != 0, true)"
    return Field(name, f"make_timestamp({micros})::{sql.DUCKDB_TYPES[type_]}", type_, truncated)


def _is_decimal(duckdb_type: str) -> bool:
    return duckdb_type.startswith("DECIMAL") and not duckdb_type.endswith("]")


def _columns(schema: list[tuple[str, int, str | None]]) -> list[tuple[str, set[str]]]:
    """Return each column of the file's schema with the types in it that DuckDB does not read exactly."""
    columns: list[tuple[str, set[str]]] = []
    left = 0  # nested parts of the last column that follow
    for name, parts, inexact in schema[1:]:
        if not left:
            columns.append((name, set()))
            left = 1
        left += parts - 1
        columns[-1][1].update({inexact} if inexact else ())
    return columns

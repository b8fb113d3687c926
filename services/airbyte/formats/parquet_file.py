"""Parquet: the file says what its columns are."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

import duckdb

from services.airbyte import sql
from services.airbyte.formats.model import (
    NUMBER,
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

ROW = "file_row_number"  # a column that DuckDB has of every Parquet file
_SIZES = """SELECT (SELECT sum(num_rows) FROM parquet_file_metadata(?))::BIGINT,
                   (SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata(?))::BIGINT"""

_REPEATED = """SELECT path_in_schema FROM parquet_metadata(?)
               WHERE type = 'BYTE_ARRAY' AND encodings LIKE '%DICTIONARY%' GROUP BY path_in_schema
               HAVING sum(num_values::HUGEINT * total_uncompressed_size) > ?"""
"""Columns whose dictionary is large enough that their values may be larger than a limit. The file counts it once."""
_EMPTY = """SELECT path_in_schema FROM parquet_metadata(?)
            GROUP BY path_in_schema HAVING bool_and(stats_null_count = num_values)"""
"""Columns without a value, whose type says nothing: writers give them any."""
_LENGTH = {"VARCHAR": "strlen", "BLOB": "octet_length"}


class ParquetFile:
    """`key` is the object's: a folder `year=2013` in it is a column of all rows, as in source-s3."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, key: str, path: Path, limits: Limits, chosen: ParquetFormat
    ) -> None:
        self.path = path
        self._decimal = "number" if chosen.decimal_as_float else "string"
        self._relation = f"read_parquet({sql.text(str(path))})"
        found, self._rows, grown = [], 0, 0
        try:
            if path.stat().st_size:
                found = connection.execute(f"DESCRIBE FROM {self._relation}").fetchall()
                self._rows, grown = connection.execute(_SIZES, [str(path)] * 2).fetchall()[0]
        except duckdb.Error as error:
            raise self.bad_file(error) from None
        if max(grown, self._rows * len(found)) > limits.file_bytes:
            what = f"its {self._rows:,} rows of {len(found):,} columns"
            raise TooLarge(f"{what} are larger than {size(limits.file_bytes)} when decompressed", "MAX_FILE_SIZE")
        self._types = {row[0]: row[1] for row in found}
        self._empty: set[str] = set()
        if found:
            self._check_repeated(connection, limits.file_bytes)
            self._empty = {row[0] for row in connection.execute(_EMPTY, [str(path)]).fetchall()}
        folders = map(unquote, key.split("/")[:-1]) if found else ()
        self._folders = dict(folder.split("=", 1) for folder in folders if "=" in folder)
        self.names = [*self._types, *(name for name in self._folders if name not in self._types)]
        check_names(self.names, "the file", limits.columns)

    def _check_repeated(self, connection: duckdb.DuckDBPyConnection, most: int) -> None:
        """Measure the values of columns that a few long ones may fill: DuckDB looks at each of a dictionary once."""
        repeated = [row[0] for row in connection.execute(_REPEATED, [str(self.path), most]).fetchall()]
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
        if row and row[0] > most:
            what = f"the text of its {self._rows:,} rows is {size(int(row[0]))}"
            raise TooLarge(f"{what}, more than {size(most)}", "MAX_FILE_SIZE")

    def infer(self) -> dict[str, str]:
        """The types that the file gives its columns; columns without a value are left out."""
        if not self._rows:
            return {}
        types = {
            name: self._decimal if _is_decimal(type_) else sql.column_type(type_)
            for name, type_ in self._types.items()
            if name not in self._empty
        }
        return types | dict.fromkeys(self._folders, "string")

    def readings(self, _columns: Mapping[str, str]) -> Iterator[Reading]:
        """Values as they are; numbers and times as text where one of them is not finite."""
        hidden = any(name.lower() == ROW for name in self.names)
        for as_text in (False, True):
            fields = [self._field(name, as_text) for name in self.names]
            yield Reading(self._relation, fields, NUMBER if hidden else ROW)

    def _field(self, name: str, as_text: bool) -> Field:
        if name in self._folders:
            return Field(name, sql.text(self._folders[name]))
        quoted, duckdb_type = sql.name(name), self._types[name]
        if _is_decimal(duckdb_type):
            return Field(name, f"{quoted}::{sql.DUCKDB_TYPES[self._decimal]}", self._decimal)
        if duckdb_type == "BLOB":
            return Field(name, f"decode({quoted})")
        type_ = sql.column_type(duckdb_type)
        if duckdb_type in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):  # DuckDB would round them, or not cast them at all
            cut = f"make_timestamp(epoch_ns({quoted}) // 1000 - (epoch_ns({quoted}) % 1000 < 0)::BIGINT)"
            return Field(name, f"({cut})::{sql.DUCKDB_TYPES[type_]}", type_, f"epoch_ns({quoted}) % 1000 != 0")
        if type_ in sql.FINITE:
            text = f"{quoted}::{sql.DUCKDB_TYPES[type_]}::VARCHAR"
            return Field(name, text) if as_text else Field(name, sql.finite(quoted, type_), type_)
        return Field(name, f"to_json({quoted})" if type_ == "object" else quoted, type_)

    def check(self, written: int) -> None:
        """Raise BadFile unless `written` rows are all that the file says it has."""
        check_rows(written, self._rows)

    def bad_file(self, error: duckdb.Error) -> BadFile:
        if "decode" in str(error):
            return BadFile(
                "a column of binary values has one that is not UTF-8 text. Convert it to text, such as base64"
            )
        return BadFile(f"no readable Parquet file: {without_path(error, self.path)}")


def _is_decimal(duckdb_type: str) -> bool:
    return duckdb_type.startswith("DECIMAL") and not duckdb_type.endswith("]")

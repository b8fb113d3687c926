"""Parquet: the file says what its columns are."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from services.airbyte import sql
from services.airbyte.formats.model import (
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

ROW = "file_row_number"  # a column that DuckDB has of every Parquet file
_SIZES = """SELECT (SELECT sum(num_rows) FROM parquet_file_metadata(?))::BIGINT,
                   (SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata(?))::BIGINT"""

_REPEATED = """SELECT path_in_schema FROM parquet_metadata(?)
               WHERE type = 'BYTE_ARRAY' AND encodings LIKE '%DICTIONARY%' GROUP BY path_in_schema
               HAVING sum(num_values::HUGEINT * total_uncompressed_size) > ?"""
"""Columns whose dictionary is large enough that their values may be larger than a limit. The file counts it once."""
_LENGTH = {"VARCHAR": "strlen", "BLOB": "octet_length"}


class ParquetFile:
    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, limits: Limits) -> None:
        self.path = path
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
        if found:
            self._check_repeated(connection, limits.file_bytes)
        self.names = list(self._types)
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
        return {name: sql.column_type(type_) for name, type_ in self._types.items()}

    def readings(self, _columns: Mapping[str, str]) -> Iterator[Reading]:
        fields = [_field(name, type_) for name, type_ in self._types.items()]
        hidden = any(name.lower() == ROW for name in self.names)
        yield Reading(self._relation, fields, None if hidden else ROW)

    def check(self, written: int) -> None:
        """Raise BadFile unless `written` rows are all that the file says it has."""
        check_rows(written, self._rows)

    def bad_file(self, error: duckdb.Error) -> BadFile:
        return BadFile(f"no readable Parquet file: {without_path(error, self.path)}")


def _field(name: str, duckdb_type: str) -> Field:
    type_ = sql.column_type(duckdb_type)
    if type_ == "object":
        return Field(name, f"to_json({sql.name(name)})", type_)
    if duckdb_type == "BLOB":
        return Field(name, f"to_base64({sql.name(name)})")
    return Field(name, sql.name(name), type_)

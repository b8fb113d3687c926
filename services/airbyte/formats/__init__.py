"""The file formats of a source. The stream's settings choose the format; by default, the file's name does."""

from pathlib import Path
from typing import TypeAlias

import duckdb

from services.airbyte.formats.csv_file import CsvFile
from services.airbyte.formats.dialect_file import DialectFile
from services.airbyte.formats.jsonl_file import JsonlFile
from services.airbyte.formats.model import Limits
from services.airbyte.formats.parquet_file import ParquetFile
from services.airbyte.formats.settings import Format, JsonlFormat, ParquetFormat
from services.airbyte.formats.suffixes import plain
from services.airbyte.formats.survey import Survey

SourceFile: TypeAlias = CsvFile | DialectFile | JsonlFile | ParquetFile


def format_of(key: str, chosen: Format | None) -> Format | None:
    """Return the stream's format, or the suffix's. None means CSV in the default dialect with inferred types."""
    name = plain(key)
    if chosen or name.endswith(".csv"):
        return chosen
    return JsonlFormat() if name.endswith(".jsonl") else ParquetFormat()


def open_file(
    connection: duckdb.DuckDBPyConnection,
    key: str,
    path: Path,
    survey: Survey,
    limits: Limits,
    chosen: Format | None = None,
) -> SourceFile:
    """Open the decompressed file of the object `key` at `path`.

    Raises:
        BadFile: the header or the file's metadata is invalid.
    """
    found = format_of(key, chosen)
    if isinstance(found, ParquetFormat):
        return ParquetFile(connection, key, path, limits, found)
    if isinstance(found, JsonlFormat):
        return JsonlFile(connection, path, survey, limits)
    return DialectFile(path, found, limits) if found else CsvFile(connection, path, survey, limits)

"""The file formats that a source can have, told by a file's name."""

from pathlib import Path
from typing import TypeAlias

import duckdb

from services.airbyte.formats.csv_file import CsvFile
from services.airbyte.formats.jsonl_file import JsonlFile
from services.airbyte.formats.model import Limits
from services.airbyte.formats.parquet_file import ParquetFile
from services.airbyte.formats.survey import Survey

SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")

SourceFile: TypeAlias = CsvFile | JsonlFile | ParquetFile


def open_file(
    connection: duckdb.DuckDBPyConnection, key: str, path: Path, survey: Survey, limits: Limits
) -> SourceFile:
    """The decompressed file at `path`, which is the object `key`. Raises BadFile."""
    name = key.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        return ParquetFile(connection, path, limits)
    return (JsonlFile if name.endswith(".jsonl") else CsvFile)(connection, path, survey, limits)


def has_quotes(key: str) -> bool:
    """Whether a line end between two double quotes belongs to a value."""
    return key.lower().removesuffix(".gz").endswith(".csv")

"""The file formats that a source can have, told by a file's name."""

from pathlib import Path
from typing import TypeAlias

import duckdb

from services.airbyte.formats.csv_file import CsvFile
from services.airbyte.formats.jsonl_file import JsonlFile
from services.airbyte.formats.parquet_file import ParquetFile

SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")

SourceFile: TypeAlias = CsvFile | JsonlFile | ParquetFile


def open_file(connection: duckdb.DuckDBPyConnection, key: str, path: Path, fractions: bool) -> SourceFile:
    """The decompressed file at `path`, which is the object `key`. Raises BadFile."""
    name = key.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        return ParquetFile(connection, path)
    return JsonlFile(connection, path) if name.endswith(".jsonl") else CsvFile(connection, path, fractions)

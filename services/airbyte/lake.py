"""The lake as a destination: a stream is a folder of Parquet files."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import duckdb

from services.airbyte import sql
from services.airbyte.convert import write_empty
from services.airbyte.names import SCHEMA_FILES, schema_name


class LakeFolder:
    """A file is committed by its rename to a name made of what it holds, so that a repeat finds it there.

    The stream's columns are those of the typed empty file, which is there before any other.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path, label: str) -> None:
        self._connection = connection
        self._folder = folder
        self.temporary = folder / f".{label}.tmp"

    def prepare(self, declared: Mapping[str, str]) -> dict[str, str]:
        """Make the folder ready; return its columns, which are those found there when none are declared."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for leftover in self._folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        columns = dict(declared) or self._known()
        self.set_columns(columns)
        return columns

    def names_in_file(self, columns: Mapping[str, str]) -> list[str]:
        return list(columns)

    def set_columns(self, columns: Mapping[str, str]) -> None:
        if not (schema := self._folder / schema_name(columns)).exists():
            write_empty(self._connection, columns, temporary := self._folder / ".schema.tmp")
            _commit(temporary, schema)
        for stale in set(self._folder.glob(SCHEMA_FILES)) - {schema}:
            stale.unlink()

    def rows_of(self, target: str) -> int | None:
        """The rows of a file that is there; None when it is not."""
        if not (file := self._folder / target).exists():
            return None
        row = self._connection.execute("SELECT count(*) FROM read_parquet(?)", [str(file)]).fetchone()
        return int(row[0]) if row else 0

    def add(self, target: str, _rows: int, _columns: Mapping[str, str]) -> None:
        """Commit the temporary file."""
        _commit(self.temporary, self._folder / target)

    def keep_only(self, targets: Collection[str]) -> None:
        """Remove the rows of all other files."""
        for file in set(self._folder.glob("*.parquet")) - set(self._folder.glob(SCHEMA_FILES)):
            if file.name not in targets:
                file.unlink()

    def clear(self) -> None:
        self.keep_only(())

    def close(self) -> None:
        self.temporary.unlink(missing_ok=True)

    def _known(self) -> dict[str, str]:
        schema = next(iter(sorted(self._folder.glob(SCHEMA_FILES), key=lambda file: file.stat().st_mtime)[-1:]), None)
        if schema is None:
            return {}
        found = self._connection.execute(f"DESCRIBE FROM read_parquet({sql.text(str(schema))})").fetchall()
        return {row[0]: sql.column_type(row[1]) for row in found if not row[0].startswith(("_airbyte_", "_ab_"))}


def _commit(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

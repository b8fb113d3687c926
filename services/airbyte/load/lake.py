"""The lake as a destination: each stream is a folder of Parquet files."""

import glob
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import duckdb

from services.airbyte.errors import DestinationError
from services.airbyte.formats import sql
from services.airbyte.formats.model import is_reserved
from services.airbyte.load.compaction import ROW_ORDER, WORK_FOLDER, compact, remove_work_folder
from services.airbyte.load.convert import copy, write_empty
from services.airbyte.load.durable import commit, sync
from services.airbyte.load.lake_lock import LakeInUse, exclusive_lock
from services.airbyte.names import SCHEMA_FILES, object_condition, schema_name

FILE_COLUMN = "_ab_source_file_url"


class LakeFolder:
    """A file is committed by renaming it to a name derived from its object version, so that a retry finds it.

    The stream's columns are those of the empty schema file, which exists before any other file.

    With `overwrites`, the files of generation `generation` are written to a hidden folder, `.STREAM/GENERATION`. Once
    all are there, the stream's folder is atomically replaced by a link to it: a reader finds either the old files or
    the new ones. Files are removed only while no reader holds the lock, because a reader lists files before it opens
    them.
    """

    strict_json = False

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        place: Path,
        label: str,
        generation: int,
        overwrites: bool,
        heartbeat: Callable[[], None],
        date_as_text: bool = False,
    ) -> None:
        self._date_as_text = date_as_text
        self._connection = connection
        self._place = self._folder = place
        self._hidden = place.parent / f".{place.name}"
        self._label = label
        self._generation = str(generation)
        self._overwrites = overwrites
        self._heartbeat = heartbeat
        self.temporary = place / f".{label}.tmp"

    def prepare(self, declared: Mapping[str, str]) -> dict[str, str]:
        """Create the folder; return its columns. If none are declared, return those of the schema file."""
        if not os.path.lexists(self._place) and self._old_folder.is_dir():
            self._old_folder.rename(self._place)  # a publication was interrupted between its two steps
        if self._place.is_symlink() and not self._place.exists():
            self._place.unlink()  # its target was removed by somebody
        self._place.mkdir(parents=True, exist_ok=True)
        for leftover in self._place.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        remove_work_folder(self._hidden / WORK_FOLDER)
        columns = dict(declared) or self._existing_columns()
        self.set_columns(columns)
        if self._overwrites:
            self._folder = self._hidden / self._next_folder_name()
            self._folder.mkdir(parents=True, exist_ok=True)
            self.set_columns(columns)
            self._remove_all_but(self._place.resolve(), self._folder)
        return columns

    def names_in_file(self, columns: Mapping[str, str]) -> list[str]:
        return list(columns)

    def set_columns(self, columns: Mapping[str, str], wider: Collection[str] = ()) -> None:  # noqa: ARG002
        """Write the empty schema file for these columns and remove older ones, unless dbt is reading the folder.

        Existing files keep their types: a reader that unites all files by name gets the `wider` types.
        """
        if (schema := self._folder / schema_name(columns)).exists():
            os.utime(schema)  # the newest schema file counts
        else:
            write_empty(self._connection, columns, temporary := self._place / ".schema.tmp", self._date_as_text)
            commit(temporary, schema)
        if stale := set(self._folder.glob(SCHEMA_FILES)) - {schema}:
            self._remove_if_unread(stale)

    def fits_double(self, column: str) -> bool:
        files = f"read_parquet({sql.text(f'{self._place}/*.parquet')}, union_by_name = true, hive_partitioning = false)"
        query = f"SELECT coalesce(bool_and(abs({sql.name(column)}) <= {2**53}), true) FROM {files}"  # noqa: S608 - quoted
        return self._connection.execute(query).fetchone() == (True,)

    def rows_of(self, target: str) -> int | None:
        """Return the number of rows of a file; None if it does not exist."""
        if (file := self._find(target)) is None:
            return None
        row = self._connection.execute("SELECT count(*) FROM read_parquet(?)", [str(file)]).fetchone()
        return int(row[0]) if row else 0

    def add(self, target: str, _rows: int, _columns: Mapping[str, str]) -> None:
        """Commit the temporary file."""
        commit(self.temporary, self._folder / target)

    def keep_only(self, targets: Collection[str]) -> None:
        """Publish these files in place of all others.

        Raises:
            DestinationError: dbt did not stop reading the lake.
        """
        for target in targets:
            if (file := self._find(target)) and file.parent != self._folder:
                os.link(file, self._folder / target)
        for file in set(self._folder.glob("*.parquet")) - set(self._folder.glob(SCHEMA_FILES)):
            if file.name not in targets:
                file.unlink()
        try:
            with exclusive_lock(self._place.parent, self._heartbeat):
                self._publish()
        except LakeInUse as error:
            raise DestinationError(
                "system_error",
                f"The new rows of {self._place.name} cannot replace the old ones: {error}. Find the dbt command that "
                "hangs, stop it, and sync again. No file is loaded twice.",
            ) from None

    def clear(self) -> None:
        columns = self._existing_columns()
        self._folder = self._hidden / f"cleared-{self._label}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.set_columns(columns)
        self.keep_only(())

    def remove(self, key: str, _targets: Collection[str]) -> int:
        """Remove the rows of an object: delete files that have no other rows, and rewrite the others without them.

        Raises:
            DestinationError: dbt did not stop reading the lake.
        """
        files = f"{glob.escape(str(self._place))}/*.parquet"
        condition, values = object_condition(key, FILE_COLUMN)
        # A stream may have a column `filename`, but no column whose name begins with _airbyte_.
        relation = "read_parquet(?, filename = '_airbyte_file', union_by_name = true, hive_partitioning = false)"
        query = f"SELECT _airbyte_file, count(*) FROM {relation} WHERE {condition} GROUP BY ALL"  # noqa: S608 - a constant
        found = self._connection.execute(query, [files, *values]).fetchall()
        remaining = {Path(name): self._write_other_rows(name, condition, values) for name, _ in found}
        try:
            with exclusive_lock(self._place.parent, self._heartbeat):
                for file, rest in remaining.items():
                    if rest:
                        commit(rest, file)
                    else:
                        file.unlink(missing_ok=True)
        except LakeInUse as error:
            raise DestinationError(
                "system_error",
                f"The rows of {key} cannot be removed from {self._place.name}: {error}. Find the dbt command that "
                "hangs, stop it, and try again.",
            ) from None
        return sum(rows for _, rows in found)

    def _write_other_rows(self, name: str, condition: str, values: tuple[str, ...]) -> Path | None:
        """Write the file's other rows to a temporary file that readers do not see; return None if there are none."""
        self._heartbeat()
        rest = self._place / f".{Path(name).name}.tmp"
        relation = "read_parquet(?, hive_partitioning = false)"
        width = len(self._connection.execute(f"DESCRIBE FROM {relation}", [name]).fetchall())
        query = f"FROM {relation} WHERE ({condition}) IS NOT TRUE ORDER BY {ROW_ORDER}"
        if copy(self._connection, query, rest, width, [name, *values]):
            return rest
        rest.unlink()
        return None

    def compact(self, recorded: Collection[str]) -> tuple[int, int]:
        """Merge the small files among `recorded`; return the number of files with rows before and after."""
        return compact(self._connection, self._place, recorded, self.temporary, self._heartbeat)

    def close(self) -> None:
        self.temporary.unlink(missing_ok=True)

    @property
    def _old_folder(self) -> Path:
        return self._hidden / "before"

    def _next_folder_name(self) -> str:
        """Return the name of the folder for the new files. All attempts use the same one until it is published.

        If an attempt was interrupted just after it published its folder, the next attempt uses another one.
        """
        current = self._place.readlink().name if self._place.is_symlink() else ""
        return f"{current}~" if current.rstrip("~") == self._generation else self._generation

    def _find(self, target: str) -> Path | None:
        return next((folder / target for folder in (self._folder, self._place) if (folder / target).exists()), None)

    def _publish(self) -> None:
        (link := self._hidden / "link").unlink(missing_ok=True)
        link.symlink_to(Path(self._hidden.name) / self._folder.name)
        if not self._place.is_symlink():
            shutil.rmtree(self._old_folder, ignore_errors=True)
            self._place.rename(self._old_folder)
        link.replace(self._place)
        sync(self._place.parent)
        self._remove_all_but(self._folder)

    def _remove_all_but(self, *folders: Path) -> None:
        """Remove the hidden folders that are not published."""
        names = {folder.name for folder in folders}
        for other in self._hidden.glob("*"):
            if other.name not in names and not other.is_symlink():
                shutil.rmtree(other)

    def _remove_if_unread(self, files: Collection[Path]) -> None:
        try:
            with exclusive_lock(self._place.parent, self._heartbeat, seconds=0):
                for file in files:
                    file.unlink(missing_ok=True)
        except LakeInUse:
            pass  # the next sync tries again; a stale empty file does not harm readers

    def _existing_columns(self) -> dict[str, str]:
        newest = sorted(self._place.glob(SCHEMA_FILES), key=lambda file: file.stat().st_mtime_ns)[-1:]
        if not newest:
            return {}
        found = self._connection.execute(
            f"DESCRIBE FROM read_parquet({sql.text(str(newest[0]))}, hive_partitioning = false)"
        ).fetchall()
        return {row[0]: sql.column_type(row[1]) for row in found if not is_reserved(row[0])}

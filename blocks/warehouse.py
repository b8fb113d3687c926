"""The warehouse: its published tables, and the files in its raw zone."""

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import duckdb

from blocks import duckdb_copy, duckdb_file, lake
from blocks.errors import PlatformError, counted
from blocks.published import Contents, QueryFailed, contents
from blocks.turns import turn

NOTHING_TESTED = (
    "The platform has not run dbt on this warehouse yet, so no table is known to be tested. "
    "Run the flow dbt_transform, then publish again. The published tables did not change."
)


class PublishFailed(PlatformError):
    """The tested tables could not be published. The published tables did not change."""


class PublishBlocked(PublishFailed):
    """Another process has the warehouse open. A retry may help."""


class WarehouseUnreachable(PlatformError):
    """Snowflake does not answer. A retry may help."""


class RawReadOnly(PlatformError):
    """The platform has only read access to raw."""


NOT_THE_MOCK = (
    "the server at AIRBYTE_SERVER_URL is not the mock, or is an older one. Update it, or correct AIRBYTE_SERVER_URL."
)
"""Why the files of a lake cannot be changed, and what to do."""


class Warehouse(Protocol):
    """What the flows need from a warehouse, apart from dbt."""

    def publish(self) -> str:
        """Publish each table that has passed its tests since it was built; return where the published tables are.

        A table that has not passed stays as it was published. A table that the dbt project no longer contains is
        dropped. If the platform has never run dbt, there is no ledger, and all tables are published.
        """

    def published_tables(self) -> dict[str, Contents]:
        """Return the published tables by `schema.table`."""

    def arrived(self, keys: Iterable[str], since: datetime | None = None) -> dict[str, datetime]:
        """Return the keys that have rows in raw, each with the date of its newest loaded version.

        `since` is a time before the first of the objects landed, if it is known. Newer rows are searched first.
        """

    def synced(self, jobs: Mapping[int, datetime]) -> dict[int, dict[str, int]]:
        """Count the raw rows of syncs by table. `jobs` maps Airbyte's job ids to the times when the jobs started.

        A job is left out if its rows cannot be identified, because Airbyte's destination does not write `sync_id`.
        """

    def fills(self, since: datetime) -> list[lake.Fill]:
        """Count the non-null values by raw column of each file loaded since then."""

    def example(self, table: str, column: str, file: str) -> str | None:
        """Return an example of a raw column's values in a file."""

    def newest_file(self, table: str) -> tuple[str, datetime] | None:
        """Return the file of the row of a raw table that was loaded last, and when it was loaded."""

    def raw_columns(self) -> dict[str, list[str]]:
        """Return the columns of each raw table. All names are in lower case."""

    def export(self, table: str, target: Path) -> None:
        """Write a raw table, or the newest rows of a large one, to a Parquet file, without Airbyte's own columns."""

    def rows_of(self, key: str) -> dict[str, int]:
        """Count an object's raw rows by table. Tables without any are left out."""

    def remove(self, key: str) -> dict[str, int]:
        """Delete an object's raw rows if Airbyte itself cannot; return their number by table.

        Raises:
            RawReadOnly: this warehouse, or its role, has only read access to raw.
        """

    def compact(self) -> dict[str, tuple[int, int]]:
        """Merge raw's small files if Airbyte itself cannot; return each table's number of files before and after.

        Raises:
            RawReadOnly: this warehouse has only read access to raw.
        """


class DuckDbWarehouse:
    """A DuckDB file that dbt writes, Parquet files as its raw zone, and a copy for readers.

    Readers have their own copy: a reader of the file that dbt writes would block dbt, or fail itself.

    Args:
        path: the file that dbt writes.
        lake_dir: folder of the Parquet files.
        published: the readers' file.
        wait_seconds: how long to wait for another command that uses the warehouse.
    """

    def __init__(self, path: Path, lake_dir: Path, published: Path, wait_seconds: float = 3600) -> None:
        self.path, self.lake_dir, self.published, self.wait_seconds = path, lake_dir, published, wait_seconds

    def publish(self) -> str:
        """Write a new file and rename it into place, so that a reader sees either the old tables or the new ones.

        Raises:
            PublishBlocked: another process has the warehouse open.
            PublishFailed: there is no warehouse, it cannot be read, the disk is full, or the folder is not writable.
            TurnMissed: another command used the warehouse for all of `wait_seconds`.
        """
        with turn(self.path, self.wait_seconds, print), self._held() as file:
            known = duckdb_file.read(file.connection)
            state = known[0] if known else duckdb_copy.everything(file)
            if not state.graph:
                raise PublishFailed(NOTHING_TESTED)
            try:
                duckdb_copy.publish(file, state, self.published)
            except (OSError, duckdb.Error) as error:
                raise self._failed(error) from error
        return str(self.published)

    @contextmanager
    def _held(self) -> Iterator[duckdb_file.File]:
        """Open the warehouse exclusively, so that it does not change while it is copied."""
        if not self.path.is_file():
            raise PublishFailed(f"There is no warehouse {self.path} to publish. Run dbt first, or set WAREHOUSE_PATH.")
        with ExitStack() as held:
            try:
                file = held.enter_context(duckdb_file.opened(self.path))
            except (OSError, duckdb.Error) as error:
                locked = "Could not set lock on file" in str(error)
                what_to_do = duckdb_file.broken(str(error), self.path) or (
                    "If a process has it open, close it there, then run again."
                )
                raise (PublishBlocked if locked else PublishFailed)(
                    f"The warehouse {self.path} cannot be published: {error}. {what_to_do} "
                    "The published tables did not change."
                ) from error
            yield file

    def _failed(self, error: Exception) -> PublishFailed:
        said = str(error)
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in said
        next_step = " The disk is full. Free some space, then run again." if full else ""
        if damaged := duckdb_file.broken(said, self.path):
            next_step = f" {damaged}"
        return PublishFailed(
            f"The tested warehouse {self.path} could not be copied to {self.published}: {said}.{next_step} "
            "The published tables did not change."
        )

    def published_tables(self) -> dict[str, Contents]:
        """See `Warehouse.published_tables`."""
        try:
            return contents(self.published)
        except QueryFailed:  # the file is unreadable, and the next publication replaces it
            return {}

    def arrived(self, keys: Iterable[str], since: datetime | None = None) -> dict[str, datetime]:
        """See `Warehouse.arrived`."""
        return lake.arrived(self.lake_dir, keys, since)

    def synced(self, jobs: Mapping[int, datetime]) -> dict[int, dict[str, int]]:
        """See `Warehouse.synced`."""
        return lake.synced(self.lake_dir, jobs)

    def fills(self, since: datetime) -> list[lake.Fill]:
        """See `Warehouse.fills`."""
        return lake.fills(self.lake_dir, since)

    def example(self, table: str, column: str, file: str) -> str | None:
        """See `Warehouse.example`."""
        return lake.example(self.lake_dir, table, column, file)

    def newest_file(self, table: str) -> tuple[str, datetime] | None:
        """See `Warehouse.newest_file`."""
        return lake.newest_file(self.lake_dir, table)

    def raw_columns(self) -> dict[str, list[str]]:
        """See `Warehouse.raw_columns`."""
        return {name.lower(): list(columns) for name, columns in lake.columns(self.lake_dir).items()}

    def export(self, table: str, target: Path) -> None:
        """See `Warehouse.export`."""
        lake.export(self.lake_dir, table, target)

    def rows_of(self, key: str) -> dict[str, int]:
        """See `Warehouse.rows_of`."""
        return lake.rows_of(self.lake_dir, key)

    def remove(self, key: str) -> dict[str, int]:
        """Refuse: the lake belongs to the mock Airbyte."""
        raise RawReadOnly(
            f"The rows of {key} cannot be removed: only the mock Airbyte writes to the lake {self.lake_dir}, but "
            f"{NOT_THE_MOCK}"
        )

    def compact(self) -> dict[str, tuple[int, int]]:
        """Refuse: the lake belongs to the mock Airbyte."""
        raise RawReadOnly(
            f"The files of {self.lake_dir} cannot be merged: only the mock Airbyte writes them, but {NOT_THE_MOCK}"
        )


def tables(path: Path) -> dict[str, int]:
    """Count the rows of every table in a DuckDB file, by `schema.table`."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "select schema_name, table_name from duckdb_tables() where not internal order by all"
        ).fetchall()
        counts = (
            (schema, table, connection.execute(f'select count(*) from "{schema}"."{table}"'))  # noqa: S608 - from the catalogue
            for schema, table in names
        )
        return {f"{schema}.{table}": count.fetchall()[0][0] for schema, table, count in counts}


def rows_in_words(rows: dict[str, int]) -> str:
    """Return the numbers of tables' rows in words; "" for none."""
    return ", ".join(f"{counted(count, 'row')} of {table}" for table, count in rows.items())

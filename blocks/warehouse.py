"""The warehouse: what readers see of it, and which files have reached its raw zone."""

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import duckdb

from blocks import duckdb_copy, duckdb_file, lake
from blocks.errors import PlatformError
from blocks.published import Contents, QueryFailed, contents
from blocks.turns import turn

if TYPE_CHECKING:
    pass


NOTHING_TESTED = (
    "No dbt command of the platform has ended on this warehouse yet, so that nothing in it is known to be tested. "
    "Run the flow dbt_transform, then publish again. Readers keep the tables they have."
)


class PublishFailed(PlatformError):
    """The tested tables could not be handed to the readers; they keep the ones they have."""


class PublishBlocked(PublishFailed):
    """Another process has the warehouse open: worth another try."""


class WarehouseUnreachable(PlatformError):
    """Snowflake does not answer: worth another try."""


class RawReadOnly(PlatformError):
    """The platform may only read raw."""


NOT_THE_MOCK = "at AIRBYTE_SERVER_URL is another server, or an older mock. Update it, or correct AIRBYTE_SERVER_URL."
"""Why nobody changes the files of a lake, and what to do."""


class Warehouse(Protocol):
    """What the flows ask of a warehouse beside dbt's work."""

    def publish(self) -> str:
        """Hand the readers each table that has passed its tests since it was built; return where they are.

        They keep what they have of a table that has not passed, and lose one that dbt's project no longer makes. Where
        the platform has never run dbt, there is no ledger, and all tables are published.
        """

    def published_tables(self) -> dict[str, Contents]:
        """Say what readers have, by `schema.table`."""

    def arrived(self, keys: Iterable[str], since: datetime | None = None) -> dict[str, datetime]:
        """Those of the object keys that raw holds rows of, each with the date of the newest version loaded.

        `since` is a time before all of the objects landed, if it is known: what was loaded since is looked at first.
        """

    def synced(self, jobs: Mapping[int, datetime]) -> dict[int, dict[str, int]]:
        """Count the rows that raw holds of syncs, by table; `jobs` are their ids with the time since when each has run.

        A job whose rows cannot be told apart, since Airbyte's destination does not say `sync_id`, is left out.
        """

    def fills(self, since: datetime) -> list[lake.Fill]:
        """How many values each file loaded since then has in each column of raw."""

    def example(self, table: str, column: str, file: str) -> str | None:
        """Return a value that a column of raw has in a file."""

    def newest_file(self, table: str) -> tuple[str, datetime] | None:
        """Return the file of the row of a table of raw that was loaded last, and when that was."""

    def raw_columns(self) -> dict[str, list[str]]:
        """The columns of each table of raw, all names in lower case."""

    def export(self, table: str, target: Path) -> None:
        """Write a table of raw to a Parquet file, without Airbyte's own columns; of a large one the newest rows."""

    def rows_of(self, key: str) -> dict[str, int]:
        """Count the rows that raw holds of an object, in each of its tables that has some."""

    def remove(self, key: str) -> dict[str, int]:
        """Delete these rows where Airbyte itself does not; return them as `rows_of` does.

        Raises:
            RawReadOnly: this warehouse, or its role, may only read raw.
        """

    def compact(self) -> dict[str, tuple[int, int]]:
        """Merge raw's small files where Airbyte itself does not; return how many each table had, and has.

        Raises:
            RawReadOnly: this warehouse may only read raw.
        """


class DuckDbWarehouse:
    """A DuckDB file that dbt writes, Parquet files as its raw zone, and a copy for readers.

    A reader of the file that dbt writes would fail, and would block dbt; so readers have a copy of their own.

    Args:
        path: the file that dbt writes.
        lake_dir: folder of the Parquet files.
        published: the readers' file.
        wait_seconds: how long to wait for another command that uses the warehouse.
    """

    def __init__(self, path: Path, lake_dir: Path, published: Path, wait_seconds: float = 3600) -> None:
        self.path, self.lake_dir, self.published, self.wait_seconds = path, lake_dir, published, wait_seconds

    def publish(self) -> str:
        """Write a new file and rename it into place: a reader sees the old tables or the new ones, never a half.

        Raises:
            PublishBlocked: another process has the warehouse open.
            PublishFailed: there is no warehouse, it cannot be read, the disk has no room, or the folder cannot be
                written.
            TurnMissed: another command used the warehouse for the whole of `wait_seconds`.
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
        """Open the warehouse, so that no other process can: what is copied stays as it is."""
        if not self.path.is_file():
            raise PublishFailed(f"There is no warehouse {self.path} to publish: run dbt first, or set WAREHOUSE_PATH.")
        with ExitStack() as held:
            try:
                file = held.enter_context(duckdb_file.opened(self.path))
            except (OSError, duckdb.Error) as error:
                locked = "Could not set lock on file" in str(error)
                what_to_do = duckdb_file.broken(str(error), self.path) or (
                    "Close it in the process that has it open, if one is named, then run again."
                )
                raise (PublishBlocked if locked else PublishFailed)(
                    f"The warehouse {self.path} cannot be published: {error}. {what_to_do} "
                    "Readers keep the tables they have."
                ) from error
            yield file

    def _failed(self, error: Exception) -> PublishFailed:
        said = str(error)
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in said
        next_step = " The disk is full: make room, then run again." if full else ""
        if damaged := duckdb_file.broken(said, self.path):
            next_step = f" {damaged}"
        return PublishFailed(
            f"The tested warehouse {self.path} could not be copied to {self.published}: {said}.{next_step} "
            "Readers keep the tables they have."
        )

    def published_tables(self) -> dict[str, Contents]:
        """See `Warehouse.published_tables`."""
        try:
            return contents(self.published)
        except QueryFailed:  # nobody can read it: the next publication replaces it
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
            f"The rows of {key} cannot be removed: only the mock Airbyte writes the lake {self.lake_dir}, and "
            f"{NOT_THE_MOCK}"
        )

    def compact(self) -> dict[str, tuple[int, int]]:
        """Refuse: the lake belongs to the mock Airbyte."""
        raise RawReadOnly(
            f"The files of {self.lake_dir} cannot be merged: only the mock Airbyte writes them, and {NOT_THE_MOCK}"
        )


def tables(path: Path) -> dict[str, int]:
    """Count the rows of every table of a DuckDB file, by `schema.table`."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "select schema_name, table_name from duckdb_tables() where not internal order by all"
        ).fetchall()
        counts = (
            (schema, table, connection.execute(f'select count(*) from "{schema}"."{table}"'))  # noqa: S608 - from the catalogue
            for schema, table in names
        )
        return {f"{schema}.{table}": count.fetchall()[0][0] for schema, table, count in counts}

"""The warehouse: what readers see of it, and which files have reached its raw zone."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import duckdb

from blocks import lake
from blocks.errors import PlatformError

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor


class PublishFailed(PlatformError):
    """The tested tables could not be handed to the readers; they keep the ones they have."""


class PublishBlocked(PublishFailed):
    """Another process has the warehouse open: worth another try."""


class Warehouse(Protocol):
    """What the flows ask of a warehouse beside dbt's work."""

    def publish(self) -> str:
        """Hand the tested tables to the readers; return where they are."""

    def arrived(self, keys: Iterable[str]) -> dict[str, datetime]:
        """Those of the object keys that raw holds rows of, each with the date of the newest version loaded."""


class DuckDbWarehouse:
    """A DuckDB file that dbt writes, Parquet files as its raw zone, and a copy for readers.

    A reader of the file that dbt writes would fail, and would block dbt; so readers have a copy of their own.
    """

    def __init__(self, path: Path, lake_dir: Path, published: Path) -> None:
        self.path, self.lake_dir, self.published = path, lake_dir, published

    def publish(self) -> str:
        """Copy the file and rename it into place: a reader sees the old tables or the new ones, never half of either.

        Raises:
            PublishBlocked: another process has the warehouse open.
            PublishFailed: there is no warehouse, the disk has no room, or the folder cannot be written.
        """
        self._settle()
        try:
            self._copy()
        except OSError as error:
            full = " The disk is full: make room, then run again." if error.errno == errno.ENOSPC else ""
            raise PublishFailed(
                f"The tested warehouse {self.path} could not be copied to {self.published}: {error}.{full} "
                "Readers keep the tables they have."
            ) from error
        return str(self.published)

    def _settle(self) -> None:
        """Write what a killed process left in the write-ahead log into the file itself; fails while someone writes."""
        if not self.path.is_file():
            raise PublishFailed(f"There is no warehouse {self.path} to publish: run dbt first, or set WAREHOUSE_PATH.")
        try:
            with duckdb.connect(str(self.path)) as connection:
                connection.execute("checkpoint")
        except duckdb.Error as error:
            locked = "Could not set lock on file" in str(error)
            raise (PublishBlocked if locked else PublishFailed)(
                f"The warehouse {self.path} cannot be published: {error}. Close it in the process that has it open, if "
                "one is named, then run again. Readers keep the tables they have."
            ) from error

    def _copy(self) -> None:
        self.published.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.published.parent, prefix=f".{self.published.name}.")
        try:
            with open(descriptor, "wb") as copy, self.path.open("rb") as original:  # noqa: PTH123
                shutil.copyfileobj(original, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(self.published)
        finally:
            Path(name).unlink(missing_ok=True)

    def arrived(self, keys: Iterable[str]) -> dict[str, datetime]:
        """See `Warehouse.arrived`."""
        return lake.arrived(self.lake_dir, keys)


def _clone(cursor: "SnowflakeCursor", built: str, readers: str) -> None:
    cursor.execute("select 1 from information_schema.schemata where schema_name ilike %s", (readers,))
    if not cursor.fetchall():  # who may not make a schema may use one that is there
        cursor.execute(f"create schema if not exists {readers}")
    cursor.execute(
        "select table_name from information_schema.tables where table_schema ilike %s and table_type = 'BASE TABLE'",
        (built,),
    )
    for (table,) in cursor.fetchall():
        # dbt's tables are transient, and a clone of such a one can be nothing else.
        cursor.execute(f'create or replace transient table {readers}."{table}" clone {built}."{table}" copy grants')


def published_schema(built: str) -> str:
    """The schema in Snowflake that readers query, by the one that dbt builds in."""
    return f"{built}_PUBLISHED"


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


class SnowflakeWarehouse:
    """Snowflake: readers have a schema of their own, with clones of the tables that dbt builds in another.

    Args:
        connect: opens a session in the schema that dbt builds in.
        raw_schema: schema that Airbyte loads.
    """

    def __init__(self, connect: "Callable[[], SnowflakeConnection]", raw_schema: str) -> None:
        self.connect, self.raw_schema = connect, raw_schema

    def publish(self) -> str:
        """Replace each of the readers' tables by a clone, which copies no row and keeps the grants on the old one.

        A reader sees a table as it was or as it is, never half of either.

        Raises:
            PublishFailed: Snowflake refuses.
        """
        from snowflake.connector.errors import Error

        with self.connect() as connection, connection.cursor() as cursor:
            built = connection.schema or ""
            readers = published_schema(built)
            try:
                _clone(cursor, built, readers)
            except Error as error:
                raise PublishFailed(
                    f"The tested tables of {built} could not be cloned into {readers}: {error} The role "
                    "needs USAGE and CREATE TABLE there, or CREATE SCHEMA on the database. Run again then."
                ) from error
            return f"{connection.account}: {connection.database}.{readers}"

    def arrived(self, keys: Iterable[str]) -> dict[str, datetime]:
        """See `Warehouse.arrived`; asks every table of the raw schema that Airbyte's source-s3 fills."""
        if not (wanted := list(keys)):
            return {}
        found: list[tuple[str, datetime]] = []
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "select table_name from information_schema.columns "
                "where table_schema ilike %s and column_name ilike '_ab_source_file_url'",
                (self.raw_schema,),
            )
            for (table,) in cursor.fetchall():
                cursor.execute(
                    "select _ab_source_file_url, max(_ab_source_file_last_modified) "  # noqa: S608 - from the catalogue
                    f'from {self.raw_schema}."{table}" '
                    f"where _ab_source_file_url in ({', '.join(['%s'] * len(wanted))}) group by 1",
                    wanted,
                )
                found += [(key, _aware(date)) for key, date in cursor.fetchall()]
        return lake.newest(found)


def _aware(date: datetime | str) -> datetime:
    """Source-s3's date of a file, which reaches Snowflake as a timestamp or as text, as a time in UTC."""
    moment = datetime.fromisoformat(date) if isinstance(date, str) else date
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

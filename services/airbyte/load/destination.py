"""The interface between the loader and a destination."""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

import duckdb

from services.airbyte.load.lake import LakeFolder
from services.airbyte.protocol import StreamTask, SyncTask


class Destination(Protocol):
    """The folder or table of one stream.

    The loader writes a file's rows to `temporary`, then `add` commits them under a `target` name.
    """

    temporary: Path
    strict_json: bool
    """Whether object columns reject arrays and array columns accept only arrays."""

    def prepare(self, declared: Mapping[str, str]) -> dict[str, str]:
        """Create the folder or table; return its columns. If none are declared, return those that exist."""

    def names_in_file(self, columns: Mapping[str, str]) -> list[str]:
        """Return the columns' names in the temporary file."""

    def set_columns(self, columns: Mapping[str, str], wider: Collection[str] = ()) -> None:
        """Add these columns. Change the type of those in `wider` and convert the existing values."""

    def fits_double(self, column: str) -> bool:
        """Return whether a double can hold all integers of a column exactly."""

    def rows_of(self, target: str) -> int | None:
        """Return the number of rows of a committed file; None if the file is not committed."""

    def add(self, target: str, rows: int, columns: Mapping[str, str]) -> None:
        """Commit the temporary file."""

    def keep_only(self, targets: Collection[str]) -> None:
        """Remove the rows of all other files."""

    def clear(self) -> None:
        """Remove all rows."""

    def remove(self, key: str, targets: Collection[str]) -> int:
        """Remove the rows of the object `key`, which were committed as `targets`; return their number."""

    def close(self) -> None: ...


def open_destination(
    connection: duckdb.DuckDBPyConnection, task: SyncTask, stream: StreamTask, heartbeat: Callable[[], None]
) -> Destination:
    """Open the stream's folder or table; `heartbeat` is called while it waits for a lock.

    Raises:
        DestinationError: the session with Snowflake cannot be opened.
    """
    if task.snowflake is None:
        overwrites = stream.overwrite and not (task.clear or task.prepare_only or task.remove or task.compact)
        label = f"{task.job_id}-{os.getpid()}"
        return LakeFolder(
            connection, Path(stream.place), label, stream.generation, overwrites, heartbeat, task.like_airbyte
        )
    # The import of Snowflake's connector takes a second, so it happens only if it is used.
    from services.airbyte.catalog.destination_config import SnowflakeConfiguration
    from services.airbyte.load.snowflake_table import SnowflakeTable

    configuration = SnowflakeConfiguration.model_validate(task.snowflake)
    return SnowflakeTable(
        configuration, stream.table, stream.generation, stream.dedup_key, Path(task.work_dir), task.like_airbyte
    )

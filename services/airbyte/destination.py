"""What the loader asks of a destination."""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

import duckdb

from services.airbyte.lake import LakeFolder
from services.airbyte.protocol import StreamTask, SyncTask


class Destination(Protocol):
    """One stream's place. A file's rows are written to `temporary`, then committed by `add` under a `target` name."""

    temporary: Path
    keeps_kinds: bool
    """Whether a column of objects takes no arrays, and a column of arrays nothing else."""

    def prepare(self, declared: Mapping[str, str]) -> dict[str, str]:
        """Make the place ready; return its columns, which are those found there when none are declared."""

    def names_in_file(self, columns: Mapping[str, str]) -> list[str]:
        """What the columns are called in the temporary file."""

    def set_columns(self, columns: Mapping[str, str], wider: Collection[str] = ()) -> None:
        """Have these columns; those of `wider` get another type, and the values that they have are converted."""

    def fits_double(self, column: str) -> bool:
        """Whether all integers of a column are exact as doubles."""

    def rows_of(self, target: str) -> int | None:
        """The rows of a file that was committed; None when it was not."""

    def add(self, target: str, rows: int, columns: Mapping[str, str]) -> None:
        """Commit the temporary file."""

    def keep_only(self, targets: Collection[str]) -> None:
        """Remove the rows of all other files."""

    def clear(self) -> None:
        """Remove all rows."""

    def remove(self, key: str, targets: Collection[str]) -> int:
        """Remove the rows of the object `key`, whose files were committed as `targets`; return their number."""

    def close(self) -> None: ...


def open_destination(
    connection: duckdb.DuckDBPyConnection, task: SyncTask, stream: StreamTask, waiting: Callable[[], None]
) -> Destination:
    """The stream's place; `waiting` is called while it waits for somebody. Raises DestinationError."""
    if task.snowflake is None:
        overwrites = stream.overwrite and not (task.clear or task.prepare_only or task.remove or task.compact)
        label = f"{task.job_id}-{os.getpid()}"
        return LakeFolder(
            connection, Path(stream.place), label, stream.generation, overwrites, waiting, task.like_airbyte
        )
    # Snowflake's connector takes a second to import: only where it is used.
    from services.airbyte.destination_config import SnowflakeConfiguration
    from services.airbyte.snowflake_table import SnowflakeTable

    configuration = SnowflakeConfiguration.model_validate(task.snowflake)
    return SnowflakeTable(
        configuration, stream.table, stream.generation, stream.dedup_key, Path(task.work_dir), task.like_airbyte
    )

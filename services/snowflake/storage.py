"""Store the emulator's databases and stages in a folder, so that they survive a restart."""

import importlib
from pathlib import Path
from typing import Any

from fakesnow import info_schema
from fakesnow.instance import GLOBAL_DATABASE_NAME, FakeSnow
from fakesnow.transforms import show, stage

from services.snowflake import altered, functions, nested, shows, stages
from services.snowflake.fence import restrict_files

MAX_RESULTS = 100
"""The number of newest results that are kept for RESULT_SCAN and asynchronous queries."""


class NewestResults(dict[str, tuple[Any, ...]]):
    """Results by query id, without the oldest. fakesnow would keep all of them forever."""

    def __setitem__(self, query: str, result: tuple[Any, ...]) -> None:
        super().__setitem__(query, result)
        while len(self) > MAX_RESULTS:
            del self[next(iter(self))]


def open_storage(folder: Path, database: str) -> FakeSnow:
    """Let fakesnow's server use the databases in a folder. Create `database` in it if it does not exist.

    A process can have only one storage, because fakesnow keeps it in a module variable. Without `database`, a login
    creates the database that it names.

    Raises:
        OSError: the folder cannot be written.
        duckdb.IOException: another process uses the folder, or a file in it is not a database.
    """
    databases, stages = folder / "databases", folder / "stages"
    for each in (databases, stages):
        each.mkdir(parents=True, exist_ok=True)
    stage.LOCAL_BUCKET_PATH = str(stages.absolute())
    storage = FakeSnow(db_path=databases)
    storage.results_cache = NewestResults()
    _persist_global_database(storage, folder / "global.db")
    names = {file.stem for file in databases.glob("*.db")} | ({database.upper()} if database else set())
    for name in sorted(names):
        storage.connect(name).close()
    restrict_files(storage.duck_conn, databases, stages)
    storage.create_database_on_connect = storage.create_schema_on_connect = not database
    importlib.import_module("fakesnow.server").shared_fs = storage  # type: ignore[attr-defined]
    return storage


def _persist_global_database(storage: FakeSnow, file: Path) -> None:
    """Store fakesnow's global database, which is in memory by default, and our own metadata in a file."""
    storage.duck_conn.execute(f"detach {GLOBAL_DATABASE_NAME}")
    storage.duck_conn.execute(f"attach '{file}' as {GLOBAL_DATABASE_NAME}")
    storage.duck_conn.execute(info_schema.fs_global_creation_sql())
    storage.duck_conn.execute(show.fs_global_creation_sql())
    storage.duck_conn.execute(altered.CREATION)
    storage.duck_conn.execute(nested.CREATION)
    storage.duck_conn.execute(shows.CREATION)
    storage.duck_conn.execute(functions.creation_sql())
    storage.duck_conn.execute(stages.CREATION)

"""Where the emulator keeps its databases and stages, so that a restart loses neither."""

import importlib
from pathlib import Path
from typing import Any

from fakesnow import info_schema
from fakesnow.instance import GLOBAL_DATABASE_NAME, FakeSnow
from fakesnow.transforms import show, stage

from services.snowflake import altered, functions, nested, shows, stages
from services.snowflake.fence import close_to_files

RESULTS = 100
"""How many of the newest results can be asked for again (RESULT_SCAN, asynchronous queries)."""


class Newest(dict[str, tuple[Any, ...]]):
    """Results by query id, the oldest forgotten: fakesnow would keep all of them for ever."""

    def __setitem__(self, query: str, result: tuple[Any, ...]) -> None:
        super().__setitem__(query, result)
        while len(self) > RESULTS:
            del self[next(iter(self))]


def open_storage(folder: Path, database: str) -> FakeSnow:
    """Make fakesnow's server work on the databases of a folder, and on `database` beside them, made where it is new.

    There is one storage a process: the server keeps its own in its module. Without `database`, a login makes the
    database that it names.

    Raises:
        OSError: the folder cannot be written.
        duckdb.IOException: another process has it open, or a file in it is not a database.
    """
    databases, stages = folder / "databases", folder / "stages"
    for each in (databases, stages):
        each.mkdir(parents=True, exist_ok=True)
    stage.LOCAL_BUCKET_PATH = str(stages.absolute())
    storage = FakeSnow(db_path=databases)
    storage.results_cache = Newest()
    _keep_what_is_global(storage, folder / "global.db")
    names = {file.stem for file in databases.glob("*.db")} | ({database.upper()} if database else set())
    for name in sorted(names):
        storage.connect(name).close()
    close_to_files(storage.duck_conn, databases, stages)
    storage.create_database_on_connect = storage.create_schema_on_connect = not database
    importlib.import_module("fakesnow.server").shared_fs = storage  # type: ignore[attr-defined]
    return storage


def _keep_what_is_global(storage: FakeSnow, file: Path) -> None:
    """Put into a file what fakesnow has in memory, and the times of changes."""
    storage.duck_conn.execute(f"detach {GLOBAL_DATABASE_NAME}")
    storage.duck_conn.execute(f"attach '{file}' as {GLOBAL_DATABASE_NAME}")
    storage.duck_conn.execute(info_schema.fs_global_creation_sql())
    storage.duck_conn.execute(show.fs_global_creation_sql())
    storage.duck_conn.execute(altered.CREATION)
    storage.duck_conn.execute(nested.CREATION)
    storage.duck_conn.execute(shows.CREATION)
    storage.duck_conn.execute(functions.creation_sql())
    storage.duck_conn.execute(stages.CREATION)

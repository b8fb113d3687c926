"""Whatever is built, by whom and in whatever order: readers see each table as it was when it was last fully tested."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from blocks.dbt.in_process import warm_up
from blocks.dbt.project import Dbt
from blocks.duckdb_file import OLDEST_READER, DuckDbLedger
from blocks.ledger import NAME
from blocks.warehouse import DuckDbWarehouse
from tests.integration.dbt.histories import QUICK, history, numbers_of_histories
from tests.integration.dbt.history_oracle import Relations, Rows
from tests.integration.dbt.history_project import Project


@dataclass
class DuckDbWorld:
    folder: Path
    storage: str = OLDEST_READER
    readers_have_views: bool = True
    readers_have_all_schemas: bool = True

    def __post_init__(self) -> None:
        self.file, published = self.folder / "warehouse.duckdb", self.folder / "published" / "warehouse.duckdb"
        for old in (self.file, Path(f"{self.file}.wal"), published):
            old.unlink(missing_ok=True)
        self.warehouse = DuckDbWarehouse(self.file, self.folder / "lake", published)
        with duckdb.connect(str(self.file), config={"storage_compatibility_version": self.storage}) as connection:
            connection.execute("create schema raw; create table raw.input (v int, w int)")

    def dbt(self, log: Callable[[str], None], *, bare: bool = False) -> Dbt:
        variables = {"WAREHOUSE_PATH": str(self.file), "RAW_SCHEMA": "raw", **QUICK}
        ledger = None if bare else DuckDbLedger(self.file)
        return Dbt(self.folder, "dev", variables, log, warehouse=self.file, ledger=ledger)

    def load(self, v: int, w: int) -> None:
        self.sql(f"delete from raw.input; insert into raw.input values ({v}, {w})")

    def built(self) -> Relations:
        return self.relations(self.file)

    def seen(self) -> dict[str, Rows]:
        published = self.warehouse.published
        return {name: rows for name, (_, rows) in self.relations(published).items()} if published.exists() else {}

    def relations(self, file: Path) -> Relations:
        with duckdb.connect(str(file), read_only=True) as connection:
            names = connection.execute(
                "select schema_name, table_name, 'table' from duckdb_tables() union all "
                "select schema_name, view_name, 'view' from duckdb_views() where not internal"
            ).fetchall()
            found = Relations()
            for schema, name, kind in names:
                if schema in ("main", "main_extra") and name != NAME:
                    try:
                        rows = connection.execute(f'select * from {schema}."{name}"').fetchall()
                    except duckdb.Error:  # a view of what no longer exists
                        rows = []
                    found[f"{schema.removeprefix('main').removeprefix('_')}.{name}"] = kind, sorted(rows, key=str)
            return found

    def sql(self, statement: str) -> None:
        with duckdb.connect(str(self.file)) as connection:
            connection.execute(statement.replace("{}", "main").replace("{extra}", "main_extra"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, so that dbt parses what has changed alone."""
    warm_up()
    return tmp_path_factory.mktemp("histories")


@pytest.mark.parametrize("seed", numbers_of_histories(3))
def test_readers_of_a_duckdb_file_see_what_was_tested(folder: Path, seed: int) -> None:
    """Every third warehouse is one that is copied table by table."""
    history(DuckDbWorld(folder, "latest" if seed % 3 == 2 else OLDEST_READER), seed)


def test_readers_keep_what_an_earlier_version_published_until_a_tested_build_replaces_it(folder: Path) -> None:
    world, project = DuckDbWorld(folder), Project(folder)
    project.reset()
    world.load(1, 0)
    world.dbt(print, bare=True).run("build")
    world.warehouse.published.parent.mkdir(exist_ok=True)
    shutil.copy(world.file, world.warehouse.published)
    tables = {name for name, (kind, _) in world.built().items() if kind == "table"}
    old = {name: rows for name, rows in world.seen().items() if name in tables}
    world.load(10, 20)
    world.dbt(print, bare=True).run("build")
    world.dbt(print).run("build", "--select", "s")
    world.warehouse.publish()
    assert {name: rows for name, rows in world.seen().items() if name != ".s"} == {
        name: rows for name, rows in old.items() if name != ".s"
    }
    world.dbt(print).run("build")
    world.warehouse.publish()
    built = world.built()
    assert {name: rows for name, rows in world.seen().items() if name in tables} == {
        name: built[name][1] for name in tables
    }

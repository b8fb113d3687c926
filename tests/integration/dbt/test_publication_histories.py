"""Whatever is built, by whom and in whatever order: readers see each table as it was when it was last fully tested."""

from pathlib import Path

import duckdb
import pytest

from blocks.dbt import Dbt, warm_up
from blocks.duckdb_file import DuckDbLedger
from blocks.warehouse import DuckDbWarehouse, tables
from tests.integration.dbt.histories import Rows, World, history, number_of_histories, plain


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    warm_up()


def world_of(folder: Path) -> World:
    file, published = folder / "warehouse.duckdb", folder / "published" / "warehouse.duckdb"

    def rows(path: Path, table: str) -> Rows | None:
        with duckdb.connect(str(path), read_only=True) as connection:
            try:
                return sorted(connection.execute(f"select * from {table}").fetchall())
            except duckdb.CatalogException:
                return None

    def built(table: str) -> Rows | None:
        return rows(file, table) if file.exists() else None

    def seen() -> dict[str, Rows]:
        if not published.exists():
            return {}
        return {plain(name): rows(published, name) or [] for name in tables(published)}

    def change(table: str, stamp: str) -> None:
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"update {table} set written_by = ?", [stamp])

    warehouse = DuckDbWarehouse(file, folder / "lake", published)
    return World(
        folder,
        lambda values, log: Dbt(
            folder, "dev", {"WAREHOUSE_PATH": str(file), **values}, log, warehouse=file, ledger=DuckDbLedger(file)
        ),
        warehouse,
        built,
        seen,
        change,
        readers_have_views=True,
    )


@pytest.mark.parametrize("seed", range(number_of_histories(3)))
def test_readers_of_a_duckdb_file_see_what_was_tested(tmp_path: Path, seed: int) -> None:
    history(world_of(tmp_path), seed)

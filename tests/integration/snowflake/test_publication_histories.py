"""Readers of Snowflake see each table as it was when it was last fully tested, whatever was built by whom."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from snowflake.connector.errors import ProgrammingError

from blocks.connections import SnowflakeConnection
from blocks.dbt import Dbt, warm_up
from blocks.snowflake_ledger import SnowflakeLedger
from blocks.warehouse import SnowflakeWarehouse
from tests.integration.dbt.histories import Rows, World, history, number_of_histories
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, running_emulator

NAMES = {"account": "org-account", "role": "R", "database": "FLIGHTS"}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    warm_up()
    with running_emulator(tmp_path_factory.mktemp("emulator"), user=USER, password=PASSWORD, **NAMES) as running:
        yield running


def world_of(folder: Path, emulator: Emulator, schema: str) -> World:
    block = SnowflakeConnection(
        account="org-account",
        user=USER,
        password=SecretStr(PASSWORD),
        database="FLIGHTS",
        schema=schema,
        warehouse="W",
        role="R",
        host="127.0.0.1",
        port=emulator.port,
        protocol="http",
    )
    place = folder / "warehouse.duckdb"

    def built(table: str, of: str = schema) -> Rows | None:
        try:
            return sorted(emulator.rows(f"select * from {of}.{table}"))
        except ProgrammingError:
            return None

    def seen() -> dict[str, Rows]:
        names = emulator.rows(
            f"select table_name from information_schema.tables where table_schema = '{schema}_PUBLISHED'"
        )
        return {name.lower(): built(name, f"{schema}_PUBLISHED") or [] for (name,) in names}

    def dbt(values: dict[str, str], log: object) -> Dbt:
        variables = {**block.variables(), **values}
        ledger = SnowflakeLedger(block.get_connection, "FLIGHTS", schema)
        return Dbt(folder, "snowflake", variables, log, warehouse=place, ledger=ledger)  # type: ignore[arg-type]

    warehouse = SnowflakeWarehouse(block.get_connection, "RAW", place)
    # The emulator does not know when a table was last altered, so that it cannot tell a change by hand from none.
    return World(folder, dbt, warehouse, built, seen, None, readers_have_views=False)


@pytest.mark.parametrize("seed", range(number_of_histories(2)))
def test_readers_of_snowflake_see_what_was_tested(tmp_path: Path, emulator: Emulator, seed: int) -> None:
    history(world_of(tmp_path, emulator, f"H{seed}"), seed)

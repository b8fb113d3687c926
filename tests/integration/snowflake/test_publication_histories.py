"""Readers of Snowflake see each table as it was when it was last fully tested, whatever was built by whom."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr
from snowflake.connector.errors import ProgrammingError

from blocks.dbt.in_process import warm_up
from blocks.dbt.project import Dbt
from blocks.ledger import NAME
from blocks.snowflake_ledger import SnowflakeLedger
from blocks.snowflake_warehouse import SnowflakeWarehouse
from blocks.systems import SnowflakeConnection
from tests.integration.dbt.histories import QUICK, history, numbers_of_histories
from tests.integration.dbt.history_oracle import Relations, Rows
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, running_emulator

pytestmark = pytest.mark.filterwarnings("ignore:The 'insecure_mode' connection property is deprecated")
NAMES = {"account": "org-account", "role": "R", "database": "FLIGHTS"}
BUILT = "BUILT"


@dataclass
class SnowflakeWorld:
    folder: Path
    emulator: Emulator
    readers_have_views: bool = False
    readers_have_all_schemas: bool = False

    def __post_init__(self) -> None:
        self.block = SnowflakeConnection(
            account="org-account",
            user=USER,
            password=SecretStr(PASSWORD),
            database="FLIGHTS",
            schema=BUILT,
            warehouse="W",
            role="R",
            host="127.0.0.1",
            port=self.emulator.port,
            protocol="http",
        )
        place = self.folder / "warehouse.duckdb"
        self.warehouse = SnowflakeWarehouse(self.block.get_connection, "RAW", place)
        schemas = [BUILT, f"{BUILT}_EXTRA", f"{BUILT}_PUBLISHED", f"{BUILT}_DBT_TEST__AUDIT", "RAW"]
        drops = [f"drop schema if exists {schema} cascade" for schema in schemas]
        self.sql(*drops, f"create schema {BUILT}", "create schema raw", "create table raw.input (v int, w int)")

    def dbt(self, log: Callable[[str], None], *, bare: bool = False) -> Dbt:
        variables = {**self.block.variables(), "RAW_SCHEMA": "raw", **QUICK}
        ledger = None if bare else SnowflakeLedger(self.block.get_connection, "FLIGHTS", BUILT)
        place = self.folder / "warehouse.duckdb"
        return Dbt(self.folder, "snowflake", variables, log, warehouse=place, ledger=ledger)

    def load(self, v: int, w: int) -> None:
        self.sql("delete from raw.input", f"insert into raw.input values ({v}, {w})")

    def built(self) -> Relations:
        with self.emulator.connect() as session, session.cursor() as cursor:

            def rows(query: str) -> Rows:
                try:
                    return sorted((tuple(row) for row in cursor.execute(query).fetchall()), key=str)  # type: ignore[union-attr]
                except ProgrammingError:  # a view of what no longer exists
                    return []

            return {
                f"{schema.removeprefix(BUILT).removeprefix('_').lower()}.{name.lower()}": (
                    "view" if kind == "VIEW" else "table",
                    rows(f'select * from {schema}."{name}"'),
                )
                for schema, name, kind in rows(
                    "select table_schema, table_name, table_type from information_schema.tables "
                    f"where table_schema in ('{BUILT}', '{BUILT}_EXTRA', '{BUILT}_PUBLISHED')"
                )
                if name.lower() != NAME
            }

    def seen(self) -> dict[str, Rows]:
        return {name.removeprefix("published"): rows for name, (_, rows) in self.built().items() if "published" in name}

    def sql(self, *statements: str) -> None:
        with self.emulator.connect() as session, session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.replace("{}", BUILT).replace("{extra}", f"{BUILT}_EXTRA"))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    warm_up()
    with running_emulator(tmp_path_factory.mktemp("emulator"), user=USER, password=PASSWORD, **NAMES) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, so that dbt parses what has changed alone."""
    return tmp_path_factory.mktemp("histories")


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", numbers_of_histories(1))
def test_readers_of_snowflake_see_what_was_tested(folder: Path, emulator: Emulator, seed: int) -> None:
    history(SnowflakeWorld(folder, emulator), seed)

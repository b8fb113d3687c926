"""What raw has in Snowflake: how full each file's columns are, an example of a value, and its rows as Parquet."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from blocks import hand_out
from blocks.connections import Connections
from blocks.lake import Fill
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, running_emulator
from tests.integration.snowflake.project import variables

TABLE = """
create table raw.orders (
    _airbyte_raw_id varchar, _airbyte_extracted_at timestamp_tz, _ab_source_file_url varchar,
    id number(38, 0), "ZIP CODE" varchar, "50%" varchar, amount number(18, 2), day date, sent timestamp_tz, note variant
)
"""
ROWS = """
insert into raw.orders
select 'a', {new}::timestamp_tz, 'in/new.csv', 1, '01210', null, 2.50, '2013-01-02'::date,
    '2013-01-02 10:00:00 +0000'::timestamp_tz, parse_json('{{"a": 1}}')
union all select 'b', {new}::timestamp_tz, 'in/new.csv', 2, null, 'x', null, null, null, null
union all select 'c', {old}::timestamp_tz, 'in/old.csv', 3, '94103', null, 1.00, null, null, null
"""


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    names = {"account": "org-account", "role": "R", "database": "FLIGHTS"}
    with running_emulator(tmp_path / "emulator", user=USER, password=PASSWORD, **names) as running:
        now = datetime.now(UTC)
        running.rows("create schema if not exists raw")
        running.rows(TABLE)
        running.rows(ROWS.format(new=f"'{now.isoformat()}'", old=f"'{(now - timedelta(days=3)).isoformat()}'"))
        for name, value in {**variables(running), "WAREHOUSE_PATH": tmp_path / "w", "DBT_TARGET": "snowflake"}.items():
            monkeypatch.setenv(name, str(value))
        yield running


def test_a_batch_is_looked_at_alone_and_a_table_is_exported(emulator: Emulator, tmp_path: Path) -> None:
    warehouse = Connections(None).warehouse()
    (fill,) = warehouse.fills(datetime.now(UTC) - timedelta(hours=1))
    assert (fill.table, fill.file, fill.rows) == ("orders", "in/new.csv", 2)
    expected = {"id": 2, "zip code": 1, "50%": 1, "amount": 1, "day": 1, "sent": 1, "note": 1}
    assert {name: count for name, count in fill.values.items() if not name.startswith("_")} == expected
    assert isinstance(fill, Fill)
    assert warehouse.example("orders", "50%", "in/new.csv") == "x"
    assert warehouse.example("orders", "50%", "in/old.csv") is None
    newest = hand_out.tables(warehouse).newest["orders"]
    assert (newest.file, datetime.now(UTC) - newest.loaded < timedelta(hours=1)) == ("in/new.csv", True)
    assert warehouse.raw_columns()["orders"][3:6] == ["id", "zip code", "50%"]
    warehouse.export("orders", target := tmp_path / "rows.parquet")
    with duckdb.connect() as connection:
        rows = connection.from_parquet(str(target)).order("id")
        assert dict(zip(rows.columns, map(str, rows.types), strict=True)) == {
            "id": "BIGINT",
            "zip code": "VARCHAR",
            "50%": "VARCHAR",
            "amount": "DECIMAL(18,2)",
            "day": "DATE",
            "sent": "TIMESTAMP WITH TIME ZONE",
            "note": "JSON",
        }
        columns = "id, \"zip code\", amount::varchar, day::varchar, epoch(sent), note->>'a'"
        found = connection.execute(f"select {columns} from '{target}' order by id").fetchall()
    assert found == [
        (1, "01210", "2.50", "2013-01-02", 1357120800.0, "1"),
        (2, None, None, None, None, None),
        (3, "94103", "1.00", None, None, None),
    ]

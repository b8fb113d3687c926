"""Readers get the tested tables whole or not at all, and keep the old ones when something goes wrong."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import duckdb
import pytest
from snowflake.connector.errors import OperationalError

from blocks import duckdb_copy, duckdb_file
from blocks import ledger as books
from blocks.ledger import Graph, Node, State, Version
from blocks.published import Contents
from blocks.snowflake_warehouse import SnowflakeWarehouse
from blocks.warehouse import DuckDbWarehouse, PublishBlocked, PublishFailed, WarehouseUnreachable, tables

Held = Callable[[Path], AbstractContextManager[int]]
PUBLISH_WITH_LITTLE_ROOM = """
import resource, signal, sys
from pathlib import Path
from blocks.warehouse import DuckDbWarehouse, PublishFailed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    DuckDbWarehouse(Path(sys.argv[1]), Path("lake"), Path(sys.argv[2])).publish()
except PublishFailed as error:
    print(error)
"""


def build(path: Path, value: int, rows: int = 1, storage: str = "") -> None:
    made = {"storage_compatibility_version": storage} if storage else {}
    with duckdb.connect(str(path), config=made) as connection:
        connection.execute(f"create or replace table t as select {value} as value from range({rows})")


def value(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as connection:
        return int(connection.execute("select any_value(value) from t").fetchall()[0][0])


@pytest.fixture(params=[duckdb_file.OLDEST_READER, ""], ids=["copied as a file", "copied by tables"])
def warehouse(tmp_path: Path, request: pytest.FixtureRequest) -> DuckDbWarehouse:
    """A warehouse that was published with value 1 and has been rebuilt with value 2."""
    made = DuckDbWarehouse(tmp_path / "warehouse.duckdb", tmp_path / "lake", tmp_path / "published" / "w.duckdb")
    build(made.path, 1, storage=request.param)
    made.publish()
    build(made.path, 2)
    return made


def assert_readers_keep_the_old_tables(warehouse: DuckDbWarehouse) -> None:
    assert value(warehouse.published) == 1
    assert list(warehouse.published.parent.iterdir()) == [warehouse.published]


def test_published_tables_are_those_of_the_warehouse(warehouse: DuckDbWarehouse) -> None:
    assert warehouse.publish() == str(warehouse.published)
    assert value(warehouse.published) == 2
    assert list(warehouse.published.parent.iterdir()) == [warehouse.published]


def test_the_readers_tables_are_told_with_their_rows_and_columns_and_none_before_the_first(tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb", tmp_path / "lake", tmp_path / "published" / "w.duckdb")
    assert warehouse.published_tables() == {}
    build(warehouse.path, 1, rows=3)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("create schema other; create table other.t as select 1 as b, 2 as a")
    warehouse.publish()
    assert warehouse.published_tables() == {"main.t": Contents(3, ["value"]), "other.t": Contents(1, ["b", "a"])}


def test_a_reader_of_the_old_copy_goes_on_reading_it_while_the_new_one_is_published(
    warehouse: DuckDbWarehouse,
) -> None:
    with duckdb.connect(str(warehouse.published), read_only=True) as reader:
        first = reader.execute("select value from t").fetchall()
        before = warehouse.published.stat().st_ino
        warehouse.publish()
        assert warehouse.published.stat().st_ino != before
        assert reader.execute("select value from t").fetchall() == first == [(1,)]
    assert value(warehouse.published) == 2


def test_what_a_killed_process_left_in_the_write_ahead_log_is_published_too(
    warehouse: DuckDbWarehouse,
) -> None:
    script = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('update t set value = 3'); os._exit(1)"
    subprocess.run([sys.executable, "-c", script, str(warehouse.path)], check=False, timeout=60)
    assert Path(f"{warehouse.path}.wal").exists()
    warehouse.publish()
    assert value(warehouse.published) == 3


def test_a_copy_is_readable_by_others(warehouse: DuckDbWarehouse) -> None:
    warehouse.publish()
    assert warehouse.published.stat().st_mode & 0o777 == 0o444


def test_a_reader_that_wrote_and_was_killed_breaks_no_later_publication(warehouse: DuckDbWarehouse) -> None:
    warehouse.published.chmod(0o644)
    write = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('create table x(i int)'); os._exit(1)"
    subprocess.run([sys.executable, "-c", write, str(warehouse.published)], check=False, timeout=60)
    assert Path(f"{warehouse.published}.wal").exists()
    warehouse.publish()
    assert value(warehouse.published) == 2
    assert list(warehouse.published.parent.iterdir()) == [warehouse.published]


def test_constraints_and_comments_are_published(warehouse: DuckDbWarehouse) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute('create schema "My Marts"')
        connection.execute('create table "My Marts"."a t" (i int not null, "t" varchar check ("t" <> \'\'))')
        connection.execute(
            """comment on table "My Marts"."a t" is 'it''s'; insert into "My Marts"."a t" values (1, 'x')"""
        )
        connection.execute("""comment on column "My Marts"."a t"."t" is 'text'""")
    warehouse.publish()
    catalogue = "select sql, comment from duckdb_tables() where table_name = 'a t'"
    columns = "select column_name, comment from duckdb_columns() where table_name = 'a t'"
    with (
        duckdb.connect(str(warehouse.path), read_only=True) as built,
        duckdb.connect(str(warehouse.published), read_only=True) as seen,
    ):
        for query in (catalogue, columns, 'from "My Marts"."a t"'):
            assert seen.execute(query).fetchall() == built.execute(query).fetchall()


def test_what_is_copied_cannot_be_written_meanwhile(
    warehouse: DuckDbWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, refused = duckdb_copy.Copy._fill, list[int]()

    def write_meanwhile(self: duckdb_copy.Copy, *arguments: Any) -> None:
        write = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('update t set value = 99')"
        for step in (lambda: None, lambda: copy(self, *arguments)):
            step()
            process = subprocess.run([sys.executable, "-c", write, warehouse.path], check=False, timeout=60)
            refused.append(process.returncode)

    monkeypatch.setattr(duckdb_copy.Copy, "_fill", write_meanwhile)
    warehouse.publish()
    assert refused == [1, 1]
    assert value(warehouse.published) == 2


def test_a_copy_that_differs_from_the_warehouse_reaches_no_reader(
    warehouse: DuckDbWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(self: duckdb_copy.Copy, _database: str, table: str) -> None:
        self.connection.execute(f"create table _platform_new.{table} as from {table} limit 0")

    def torn(self: duckdb_copy.Copy, new: Path) -> bool:
        if made := clone(self, new):
            with new.open("r+b") as file:
                file.seek(blocks[0] * 262_144 + duckdb_file.HEADERS)
                file.write(bytes(1000))
        return made

    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("create or replace table t as select hash(range) as value from range(1000); checkpoint")
        blocks = connection.execute(
            "select distinct block_id from pragma_storage_info('t') where block_id >= 0"
        ).fetchall()[0]
    clone = duckdb_copy.Copy._clone
    monkeypatch.setattr(duckdb_copy.Copy, "_clone", torn)
    monkeypatch.setattr(duckdb_copy.Copy, "_table", half)
    with pytest.raises(PublishFailed):
        warehouse.publish()
    assert_readers_keep_the_old_tables(warehouse)


def test_a_warehouse_that_another_process_has_open_is_not_published(warehouse: DuckDbWarehouse, held: Held) -> None:
    with held(warehouse.path) as pid, pytest.raises(PublishBlocked) as caught:
        warehouse.publish()
    assert f"PID {pid}" in str(caught.value)
    assert "close it there" in str(caught.value)
    assert_readers_keep_the_old_tables(warehouse)


def test_a_file_too_large_for_the_disk_leaves_the_old_copy_and_no_temporary_file(warehouse: DuckDbWarehouse) -> None:
    command = [sys.executable, "-c", PUBLISH_WITH_LITTLE_ROOM, str(warehouse.path), str(warehouse.published)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert f"could not be copied to {warehouse.published}: " in said
    assert "The published tables did not change." in said
    assert_readers_keep_the_old_tables(warehouse)


def test_a_full_disk_is_said_to_be_full(warehouse: DuckDbWarehouse, small_disk: Path) -> None:
    elsewhere = DuckDbWarehouse(warehouse.path, warehouse.lake_dir, small_disk / "w.duckdb")
    elsewhere.publish()
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("create table large as select hash(range) as h from range(500_000)")
    with pytest.raises(PublishFailed, match=r"The disk is full. Free some space, then run again"):
        elsewhere.publish()
    assert value(elsewhere.published) == 2
    assert list(small_disk.iterdir()) == [elsewhere.published]


def test_without_a_warehouse_nothing_is_published(warehouse: DuckDbWarehouse) -> None:
    warehouse.path.unlink()
    with pytest.raises(PublishFailed, match=r"There is no warehouse .*Run dbt first, or set WAREHOUSE_PATH"):
        warehouse.publish()
    assert not warehouse.path.exists()
    assert_readers_keep_the_old_tables(warehouse)


def test_a_warehouse_whose_first_build_was_killed_is_not_published(warehouse: DuckDbWarehouse) -> None:
    duckdb_file.DuckDbLedger(warehouse.path).read()
    with pytest.raises(PublishFailed, match="Run the flow dbt_transform, then publish again"):
        warehouse.publish()
    assert_readers_keep_the_old_tables(warehouse)


def test_a_view_whose_rows_change_each_time_is_published(warehouse: DuckDbWarehouse) -> None:
    state = State(
        graph=Graph(nodes={"t": Node(table="main.t"), "v": Node(table="main.v", parents=["t"], view=True)}),
        versions={"t": Version(id="1", built=True), "v": Version(id="1", built=True)},
    )
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("create view v as select random() as drawn, value from t")
    ledger = duckdb_file.DuckDbLedger(warehouse.path)
    ledger.write(state, ledger.read()[1])
    warehouse.publish()
    assert tables(warehouse.published) == {"main.t": 1, "main.v": 1}


def test_a_table_that_others_have_changed_since_it_was_built_is_not_published(warehouse: DuckDbWarehouse) -> None:
    graph = Graph(nodes={"t": Node(table="main.t")}, tests={"test": ["t"]})
    ledger = duckdb_file.DuckDbLedger(warehouse.path)
    version = Version(id="1", built=True, print=ledger.prints(graph, ["t"])["t"])
    tested = State(graph=graph, versions={"t": version}, tests={"test": books.Tested(passed=True, on={"t": "1"})})
    ledger.write(tested, ledger.read()[1])
    build(warehouse.path, 3)
    warehouse.publish()
    assert_readers_keep_the_old_tables(warehouse)


def test_readers_keep_a_table_that_is_missing_from_the_warehouse(warehouse: DuckDbWarehouse) -> None:
    graph = Graph(nodes={"t": Node(table="main.t", parents=["source.raw"]), "u": Node(table="main.u")})
    ledger = duckdb_file.DuckDbLedger(warehouse.path)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("drop table t; create table u as select 1 as value")
    built = {name: Version(id="1", built=True, print=print_) for name, print_ in ledger.prints(graph, "u").items()}
    ledger.write(State(graph=graph, versions={**built, "t": Version(id="1", built=True, print="x")}), ledger.read()[1])
    warehouse.publish()
    assert value(warehouse.published) == 1
    assert tables(warehouse.published) == {"main.t": 1, "main.u": 1}


def test_a_table_whose_blocks_were_freed_and_used_again_has_another_print(warehouse: DuckDbWarehouse) -> None:
    ledger, graph = duckdb_file.DuckDbLedger(warehouse.path), Graph(nodes={"t": Node(table="main.t")})
    seen = set[str]()
    for value_ in ("x", "y", "z", "y"):
        with duckdb.connect(str(warehouse.path)) as connection:
            connection.execute(
                "create or replace table t as select if(range = 7, ?, 'a' || range % 3) as value from range(200_000)",
                [value_],
            )
        seen.add(ledger.prints(graph, ["t"])["t"])
        with duckdb.connect(str(warehouse.path)) as connection:
            connection.execute("create or replace table other as from range(100_000)")
        assert ledger.prints(graph, ["t"])["t"] in seen, "it is the same while others are written"
    assert len(seen) >= 3
    for statement in ("update t set value = 'b' where value = 'y'", "delete from t where value = 'b'"):
        with duckdb.connect(str(warehouse.path)) as connection:
            connection.execute(statement)
        now = ledger.prints(graph, ["t"])["t"]
        assert now not in seen, statement
        seen.add(now)


def test_a_file_that_is_no_warehouse_is_not_published(warehouse: DuckDbWarehouse) -> None:
    warehouse.path.write_bytes(b"hello" * 5000)
    with pytest.raises(PublishFailed, match="not a valid DuckDB database file"):
        warehouse.publish()
    assert_readers_keep_the_old_tables(warehouse)


def test_a_folder_that_cannot_be_made_is_named(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    elsewhere = DuckDbWarehouse(warehouse.path, warehouse.lake_dir, tmp_path / "file" / "w.duckdb")
    with pytest.raises(PublishFailed, match=r"could not be copied to .*/file/w\.duckdb"):
        elsewhere.publish()


def test_tables_are_counted_by_schema(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute('create schema "Marts"; create table "Marts"."a b" as from range(3); create table t (i int)')
        connection.execute("create view v as from t")
    assert tables(path) == {"Marts.a b": 3, "main.t": 0}


def test_what_arrived_is_read_from_the_lake(warehouse: DuckDbWarehouse) -> None:
    folder = warehouse.lake_dir / "flights"
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(
            "copy (select 'a.csv' as _ab_source_file_url, timestamptz '2013-01-01 00:00:00+00' as "
            f"_ab_source_file_last_modified) to '{folder}/1.parquet' (format parquet)"
        )
    assert warehouse.arrived(["a.csv", "b.csv"]) == {"a.csv": datetime(2013, 1, 1, tzinfo=UTC)}


def test_a_publication_during_which_snowflake_goes_away_is_worth_another_try() -> None:
    session = MagicMock(schema="BUILT")
    session.__enter__.return_value = session
    cursor = session.cursor.return_value.__enter__.return_value
    cursor.execute.side_effect = OperationalError("Failed to execute request: Connection refused", errno=250003)
    with pytest.raises(WarehouseUnreachable, match="Snowflake does not answer"):
        SnowflakeWarehouse(lambda: session, "RAW").publish()

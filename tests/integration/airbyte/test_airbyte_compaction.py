"""Many small files become a few large ones. Every row stays as it was, and no reader ever sees a part of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from blocks import lake
from services.airbyte.load import compaction
from services.airbyte.load.convert import connect
from services.airbyte.load.lake import LakeFolder
from services.airbyte.names import SCHEMA_FILES
from tests.integration.airbyte.running_mock import Landing, Mock, Start

HEADER = "id,name,price,at\n"
CHANGES = (
    "open",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.utime",
    "ctypes.dlsym",
    "fcntl.flock",
)
COLUMNS = {"id": "integer", "name": "string"}


def orders(*ids: int, name: str = "ant") -> str:
    return HEADER + "".join(f"{id_},{name},1.5,2024-01-01T00:00:00Z\n" for id_ in ids)


def compacted(mock: Mock, stream: str = "") -> dict[str, list[int]]:
    answer = mock.http.post("/_mock/compactions", json={"stream": stream})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["compacted"])


def everything(mock: Mock, stream: str = "orders") -> list[tuple[Any, ...]]:
    return mock.rows("*", stream, "all")


def test_every_row_stays_as_it_was_and_nothing_is_loaded_twice(mock: Mock, landing: Landing) -> None:
    for sync in range(3):
        for file in range(3):
            landing.put(f"orders/{sync}-{file}.csv", orders(sync * 10 + file, sync * 10 + file + 5))
        mock.sync()
    landing.put("orders/0-0.csv", orders(0, name="bee"))
    landing.put("shops/a.csv", "id,name\n1,one\n")
    mock.sync()
    before, shops = everything(mock), everything(mock, "shops")
    assert compacted(mock) == {"orders": [10, 1], "shops": [1, 1]}
    assert everything(mock) == before
    assert everything(mock, "shops") == shops
    [file] = mock.files()
    with duckdb.connect() as connection:
        loaded = "_airbyte_extracted_at, _ab_source_file_url, _airbyte_raw_id"
        rows = connection.execute(f"SELECT {loaded} FROM '{mock.lake}/orders/{file}'").fetchall()
    assert rows == sorted(rows)

    assert mock.sync()["rowsSynced"] == 0
    landing.put("orders/new.csv", orders(99))
    assert mock.sync()["rowsSynced"] == 1
    assert len(everything(mock)) == len(before) + 1
    assert compacted(mock, "orders") == {"orders": [2, 1]}
    assert compacted(mock, "orders") == {"orders": [1, 1]}
    assert [file.name for file in mock.lake.iterdir() if file.name.startswith(".")] == [".lock"]


def test_a_back_up_of_compacted_raw_is_whole_with_the_state_of_the_same_moment(
    start: Start, landing: Landing, tmp_path: Path
) -> None:
    for file in range(3):
        landing.put(f"orders/{file}.csv", orders(file))
    with start() as mock:
        mock.sync()
        compacted(mock)
        before = everything(mock)
    archive, restored = tmp_path / "volumes.tar", tmp_path / "restored"
    restored.mkdir()
    subprocess.run(["tar", "--create", f"--file={archive}", f"--directory={tmp_path}", "lake", "state"], check=True)
    subprocess.run(["tar", "--extract", f"--file={archive}", f"--directory={restored}"], check=True)
    with start(lake_dir=restored / "lake", state_dir=restored / "state") as mock:
        assert everything(mock) == before
        assert mock.sync()["rowsSynced"] == 0
        landing.put("orders/3.csv", orders(3))
        mock.sync()
        assert compacted(mock, "orders") == {"orders": [2, 1]}


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_an_overwritten_stream_stays_whole_and_is_overwritten_again(
    start: Start, landing: Landing, again: bool
) -> None:
    for file in range(3):
        landing.put(f"orders/{file}.csv", orders(file))
    with start(mode="full_refresh_overwrite") as mock:
        mock.sync()
        if again:
            mock.sync()
        before = everything(mock)
        assert compacted(mock, "orders") == {"orders": [3, 1]}
        assert everything(mock) == before
        landing.remove("orders/0.csv")
        mock.sync()
        assert mock.rows("id") == [(1,), (2,)]
    with start(mode="full_refresh_overwrite") as mock:
        assert mock.rows("id") == [(1,), (2,)]


def test_what_dbt_has_listed_stays_until_it_is_done(mock: Mock, landing: Landing) -> None:
    for file in range(3):
        landing.put(f"orders/{file}.csv", orders(file))
    mock.sync()
    before = everything(mock)
    with ThreadPoolExecutor(1) as pool:
        with lake.reading(mock.lake):
            listed = [str(file) for file in (mock.lake / "orders").glob("*.parquet")]
            compacting = pool.submit(compacted, mock)
            with pytest.raises(TimeoutError):
                compacting.result(2)
            with duckdb.connect() as connection:
                query = "SELECT count(*) FROM read_parquet(?, union_by_name = true)"
                assert connection.execute(query, [listed]).fetchone() == (3,)
        assert compacting.result(30)["orders"] == [3, 1]
    assert everything(mock) == before


def test_a_compaction_waits_for_the_sync_that_runs(mock: Mock, landing: Landing) -> None:
    landing.put("orders/0.csv", orders(0))
    landing.put("orders/1.csv", orders(1))
    fault = mock.fault(kind="stuck_running")
    job = mock.start()["jobId"]
    mock.wait(job, "running")
    with ThreadPoolExecutor(1) as pool:
        compacting = pool.submit(compacted, mock)
        with pytest.raises(TimeoutError):
            compacting.result(1)
        mock.http.delete(f"/_mock/faults/{fault}")
        assert compacting.result(30)["orders"] == [2, 1]
    assert mock.wait(job)["status"] == "succeeded"
    assert mock.rows("id") == [(0,), (1,)]


def test_a_config_file_that_changes_meanwhile_is_taken_over_afterwards(
    mock: Mock, landing: Landing, tmp_path: Path
) -> None:
    for file in range(3):
        landing.put(f"orders/{file}.csv", orders(file))
    mock.sync()
    config, schemas = tmp_path / "airbyte.yaml", set((mock.lake / "orders").glob(SCHEMA_FILES))
    with ThreadPoolExecutor(1) as pool:
        with lake.reading(mock.lake):
            compacting = pool.submit(compacted, mock)
            until(lambda: any((mock.lake / ".orders" / compaction.WORK_FOLDER).glob("_schema-*")))
            config.write_text(config.read_text().replace("price: number", "price: string"))
            with pytest.raises(TimeoutError):
                compacting.result(3)
        assert compacting.result(30)["orders"] == [3, 1]
    until(lambda: set((mock.lake / "orders").glob(SCHEMA_FILES)) - schemas)
    assert mock.rows("id, price") == [(0, "1.5"), (1, "1.5"), (2, "1.5")]


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_a_file_that_was_merged_can_be_taken_out_and_lands_again(mock: Mock, landing: Landing) -> None:
    for file in range(3):
        landing.put(f"orders/{file}.csv", orders(file, file + 10))
    mock.sync()
    before = everything(mock)
    compacted(mock)
    [merged] = [mock.lake / "orders" / name for name in mock.files()]
    age = merged.stat().st_mtime_ns
    removal = {"bucket": landing.bucket, "key": "inbound/orders/1.csv"}
    assert mock.http.post("/_mock/removals", json=removal).json() == {"removed": {"orders": 2}}
    assert everything(mock) == [row for row in before if row[0] not in (1, 11)]
    assert merged.stat().st_mtime_ns > age, "dbt reads a file again whose time differs"
    assert mock.sync()["rowsSynced"] == 2
    assert mock.rows("id") == [(id_,) for id_ in (0, 1, 2, 10, 11, 12)]
    for file in range(3):
        removal["key"] = f"inbound/orders/{file}.csv"
        mock.http.post("/_mock/removals", json=removal)
    assert mock.files() == []


def test_a_stream_that_is_not_there_is_told_with_those_that_are(mock: Mock) -> None:
    answer = mock.http.post("/_mock/compactions", json={"stream": "order"})
    assert answer.status_code == 409
    assert answer.json() == {"notCompacted": "there is no stream 'order' in the lake. Its streams are: orders, shops"}
    assert mock.http.post("/_mock/compactions", json={"stream": 1}).status_code == 422


# -- the folder by itself ------------------------------------------------------------------------------------------


@pytest.fixture(params=["a folder", "a link to one"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A stream's folder with five files of two rows each, as an appending sync and an overwriting one leave it."""
    place = folder = tmp_path / "lake" / "orders"
    if request.param == "a link to one":
        folder = tmp_path / "lake" / ".orders" / "3"
        folder.mkdir(parents=True)
        place.symlink_to(Path(".orders") / "3")
    folder.mkdir(exist_ok=True, parents=True)
    (tmp_path / "lake" / ".lock").touch()
    with duckdb.connect() as connection:
        for file in range(5):
            write(connection, folder / f"{file}.parquet", f"{file} AS id, 'n{file}' AS name", str(file))
    return place


def write(connection: duckdb.DuckDBPyConnection, file: Path, values: str, key: str, rows: int = 2) -> None:
    connection.execute(f"""
        COPY (
            SELECT {values}, uuid()::VARCHAR AS _airbyte_raw_id, now() AS _airbyte_extracted_at,
                '{{}}' AS _airbyte_meta, 0::BIGINT AS _airbyte_generation_id, '{key}' AS _ab_source_file_url,
                now() AS _ab_source_file_last_modified
            FROM range({rows})
        ) TO '{file}'
    """)


def stored(place: Path) -> list[tuple[Any, ...]]:
    """All rows, their columns in the order of their names."""
    with duckdb.connect() as connection:
        rows = connection.sql(f"FROM read_parquet('{place}/*.parquet', union_by_name = true)")
        return rows.select(", ".join(sorted(rows.columns))).order("ALL").fetchall()


def compact(place: Path, recorded: set[str] | None = None) -> tuple[int, int]:
    """Compact a folder as the mock's worker does."""
    with connect("1GB", 2, place.parent.parent / "spill") as connection:
        folder = LakeFolder(connection, place, "1-1", 3, overwrites=False, heartbeat=lambda: None)
        folder.prepare(COLUMNS)
        try:
            return folder.compact({f"{file}.parquet" for file in range(5)} if recorded is None else recorded)
        finally:
            folder.close()


def test_a_file_that_the_state_does_not_know_keeps_its_name(place: Path) -> None:
    before = stored(place)
    assert compact(place, {"0.parquet", "2.parquet", "4.parquet", "gone.parquet"}) == (5, 3)
    assert {"1.parquet", "3.parquet"} < {file.name for file in place.glob("*.parquet")}
    assert stored(place) == before


def test_only_files_of_the_same_types_are_merged(place: Path) -> None:
    with duckdb.connect() as connection:
        for file, values in (("a", "'1.50' AS id, 'x' AS name"), ("b", "2.5::DOUBLE AS id, true AS more")):
            for part in "12":
                write(connection, place / f"{file}{part}.parquet", values, file)
    names = {file.name for file in place.glob("*.parquet")}
    before = stored(place)
    assert compact(place, names) == (9, 3)
    assert stored(place) == before


def test_a_large_file_stays_and_a_merged_one_is_as_old_as_its_newest_part(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "LARGE_FILE_BYTES", 10_000)
    with duckdb.connect() as connection:
        write(connection, large := place / "large.parquet", "range AS id, 'x' AS name", "large", rows=2000)
    assert large.stat().st_size > compaction.LARGE_FILE_BYTES
    for age, file in enumerate(sorted(place.glob("?.parquet"))):
        os.utime(file, ns=(0, age))
    before, inode = stored(place), large.stat().st_ino
    assert compact(place, {file.name for file in place.glob("*.parquet")}) == (6, 2)
    assert stored(place) == before
    assert large.stat().st_ino == inode
    [merged] = place.glob("_compacted-*.parquet")
    assert merged.stat().st_mtime_ns == 4


def killed_at(point: int, work: Callable[[], object]) -> bool:
    """Do work in another process, killed before its `point`-th change of a file; False where it ended first."""
    if child := os.fork():
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = [point]

    def count(event: str, _: tuple[Any, ...]) -> None:
        if event in CHANGES:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        work()
    finally:
        os._exit(0)


def points() -> Iterator[int]:
    yield from range(1, 300)
    raise AssertionError("there is no end to the points")


def test_a_compaction_that_is_killed_anywhere_leaves_all_rows_once_and_is_made_good_by_the_next(place: Path) -> None:
    before, states = stored(place), set()
    for point in points():
        was_killed = killed_at(point, lambda: compact(place))
        assert stored(place) == before, f"killed at {point}"
        states.add(len(list(place.glob("[0-9_]*.parquet"))))
        if not was_killed:
            break
    assert point > 20
    assert states >= {2, 6}, "the empty file and five, then the empty file and one"
    assert compact(place) == (1, 1)
    assert [file.name for file in place.glob(".*")] == []
    assert [file.name for file in place.parent.glob(".orders/*")] == (["3"] if place.is_symlink() else [])

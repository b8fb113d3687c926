"""What dbt has listed stays until it is done; readers find the rows of one generation, whole."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest

from blocks import lake
from services.airbyte.jobs import failures
from services.airbyte.load import lake_lock
from tests.integration.airbyte.mock_config import CONFIG
from tests.integration.airbyte.running_mock import Landing, Mock, Start

HEADER = "id,name,price,at\n"
OVERWRITE = "full_refresh_overwrite"


def listed(mock: Mock) -> list[Path]:
    return sorted((mock.lake / "orders").glob("*.parquet"))


def ids(mock: Mock, files: list[Path] | None = None) -> list[int]:
    names = [str(file) for file in files or listed(mock)]
    with duckdb.connect() as connection:
        query = "SELECT id FROM read_parquet(?, union_by_name = true) ORDER BY id"
        return [row[0] for row in connection.execute(query, [names]).fetchall()]


def test_an_overwriting_sync_replaces_files_only_when_no_dbt_reads_the_lake(start: Start, landing: Landing) -> None:
    landing.put("orders/a.csv", HEADER + "1,ant,1,\n")
    with start(mode=OVERWRITE) as mock:
        mock.sync()
        landing.remove("orders/a.csv")
        landing.put("orders/b.csv", HEADER + "2,bee,2,\n3,cat,3,\n")
        with lake.reading(mock.lake):
            before = listed(mock)
            job = mock.start()["jobId"]
            deadline = time.monotonic() + 30
            while mock.job(job).get("rowsSynced") != 2:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert listed(mock) == before
            assert ids(mock, before) == [1]
            assert mock.job(job)["status"] == "running"
        assert mock.wait(job)["status"] == "succeeded"
        assert ids(mock) == [2, 3]


def test_a_clear_waits_for_dbt_too(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", HEADER + "1,ant,1,\n")
    mock.sync()
    with lake.reading(mock.lake):
        before = listed(mock)
        job = mock.start("clear")["jobId"]
        mock.wait(job, "running")
        assert ids(mock, before) == [1]
    assert mock.wait(job)["status"] == "succeeded"
    assert ids(mock) == []
    landing.put("orders/b.csv", HEADER + "2,bee,2,\n")
    assert mock.sync()["rowsSynced"] == 2


def test_a_changed_schema_leaves_the_file_that_dbt_has_listed(start: Start, landing: Landing, tmp_path: Path) -> None:
    with start() as mock:
        before = listed(mock)
    text = CONFIG.format(bucket=landing.bucket, mode="incremental_append")
    (config := tmp_path / "changed.yaml").write_text(text.replace("price: number", "price: string"))
    with lake.reading(tmp_path / "lake"), start(config=config) as mock:
        assert len(listed(mock)) == 2
        assert ids(mock, before) == []
    with start(config=config) as mock:
        mock.sync()
        (schema,) = listed(mock)
        assert schema not in before


def test_an_overwriting_sync_that_fails_leaves_the_old_rows_and_the_next_one_replaces_them(
    start: Start, landing: Landing
) -> None:
    landing.put("orders/a.csv", HEADER + "1,ant,1,\n")
    with start(mode=OVERWRITE) as mock:
        mock.sync()
        landing.put("orders/b.csv", HEADER + "2,bee,2,\n")
        landing.put("orders/c.csv", HEADER + "3\n")
        assert mock.sync()["status"] == "failed"
        assert mock.rows("id, _airbyte_generation_id") == [(1, 1)]
        landing.put("orders/c.csv", HEADER + "3,cat,3,\n")
        mock.sync()
        assert mock.rows("id, _airbyte_generation_id") == [(1, 3), (2, 3), (3, 3)]
        assert [path.name for path in (mock.lake / ".orders").iterdir()] == ["3"]


def test_an_attempt_repeated_after_readers_got_its_files_keeps_them(
    start: Start, landing: Landing, tmp_path: Path
) -> None:
    landing.put("orders/a.csv", HEADER + "1,ant,1,\n")
    with start(mode=OVERWRITE) as mock:
        mock.sync()
    for state in (tmp_path / "state").glob("state.sqlite*"):
        state.unlink()
    landing.put("orders/b.csv", HEADER + "2,bee,2,\n")
    with start(mode=OVERWRITE) as mock:
        mock.sync()
        assert mock.rows("id, _airbyte_generation_id") == [(1, 1), (2, 1)]


def test_a_switch_cut_short_is_undone_and_then_made(start: Start, landing: Landing) -> None:
    landing.put("orders/a.csv", HEADER + "1,ant,1,\n")
    with start() as mock:
        mock.sync()
        (mock.lake / ".orders").mkdir()
        (mock.lake / "orders").rename(mock.lake / ".orders" / "before")
    with start(mode=OVERWRITE) as mock:
        assert ids(mock) == [1]
        mock.sync()
        assert mock.rows("id, _airbyte_generation_id") == [(1, 1)]


def test_rows_that_cannot_replace_the_old_ones_in_time_say_what_to_look_for(tmp_path: Path) -> None:
    lake_lock.lock_file(tmp_path)
    waited: list[None] = []
    with lake.reading(tmp_path), pytest.raises(lake_lock.LakeInUse, match="was in use by"), ExitStack() as held:
        held.enter_context(lake_lock.exclusive_lock(tmp_path, lambda: waited.append(None), seconds=0.2))
    assert waited
    hold = lake_lock.exclusive_lock(tmp_path, lambda: None)
    with hold, pytest.raises(lake.LakeBusy, match="restart it"), ExitStack() as held:
        held.enter_context(lake.reading(tmp_path, seconds=0.1))


def test_a_sync_without_progress_ends_and_says_so(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with start(s3_endpoint_url=endpoint, stall_timeout=10, max_attempts=1) as mock:
            job = mock.sync()
            assert job["status"] == "failed"
            assert "made no progress for 10 s" in mock.reason(job["jobId"])


def test_a_worker_that_died_or_hung_is_told_with_the_files_that_it_was_reading() -> None:
    for failure in (failures.worker_died(-9, "", ["inbound/a.csv"]), failures.worker_stalled(600, ["inbound/a.csv"])):
        assert "It was reading inbound/a.csv." in failure["externalMessage"]

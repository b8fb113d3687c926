"""Syncs move the rows of every unread object version, once."""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from tests.integration.airbyte.running_mock import Landing, Mock, Start

ORDERS = "id,name,price,at\n1,ant,1.5,2013-01-01T10:00:00Z\n2,,2,2013-01-01T11:00:00Z\n"


def test_a_new_connection_has_a_typed_empty_file_for_every_stream(mock: Mock) -> None:
    assert mock.rows() == []
    assert mock.rows("id, name", "shops") == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="what a process has loaded is found in /proc")
def test_workers_are_copies_of_a_process_that_has_imported_what_they_need(mock: Mock) -> None:
    mock.sync()
    children = [Path("/proc", pid) for task in Path("/proc/self/task").iterdir() for pid in _children(task)]
    (forks,) = (each for each in children if b"multiprocessing.forkserver" in (each / "cmdline").read_bytes())
    assert "_duckdb" in (forks / "maps").read_text()


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def test_a_sync_moves_the_rows_of_every_stream_and_counts_them(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    landing.put("shops/a.csv.gz", "id,name\n7,shop\n")
    job = mock.sync()
    assert job["status"] == "succeeded"
    assert job["rowsSynced"] == 3
    assert mock.rows() == [(1, "ant", 1.5), (2, None, 2.0)]
    assert mock.rows("id, name", "shops") == [(7, "shop")]


@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_ids_grow_with_the_rows_of_a_file(mock: Mock, landing: Landing, tmp_path: Path, format_: str) -> None:
    """Whoever takes the newest row of a key takes the last of a file; many rows, so that threads could share them."""
    duckdb.sql(f"copy (select range as id from range(500_000)) to '{tmp_path / 'ids'}' (format {format_})")
    landing.put(f"orders/ids.{format_.replace('json', 'jsonl')}", (tmp_path / "ids").read_bytes())
    assert mock.sync()["rowsSynced"] == 500_000
    assert mock.rows("id", order="_airbyte_raw_id") == mock.rows("id", order="id")


def test_rows_carry_airbytes_columns(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    job = mock.sync()
    columns = "_airbyte_raw_id, _airbyte_meta, _airbyte_generation_id, _ab_source_file_url"
    times = "_airbyte_extracted_at, _ab_source_file_last_modified"
    first, second = mock.rows(columns)
    assert first[0] != second[0]
    assert len(first[0]) == 36
    assert json.loads(first[1]) == {"sync_id": job["jobId"], "changes": []}
    assert first[2:] == (0, "inbound/orders/a.csv")
    extracted, modified = mock.rows(times)[0]
    assert modified <= extracted <= datetime.now(UTC)


def test_a_file_is_read_once_and_again_when_it_has_changed(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    mock.sync()
    landing.put("orders/a.csv", ORDERS)
    assert mock.sync()["rowsSynced"] == 0
    landing.put("orders/a.csv", "id,name,price,at\n3,cat,3,\n")
    assert mock.sync()["rowsSynced"] == 1
    assert [row[0] for row in mock.rows()] == [1, 2, 3]


def test_a_file_that_goes_back_to_an_earlier_content_is_a_new_version(mock: Mock, landing: Landing) -> None:
    for name in ("ant", "bee", "ant"):
        landing.put("shops/a.csv", f"id,name\n1,{name}\n")
        assert mock.sync()["rowsSynced"] == 1
    assert [row[0] for row in mock.rows("name", "shops", "_airbyte_extracted_at")] == ["ant", "bee", "ant"]


def test_read_state_and_jobs_survive_a_restart(start: Start, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    with start() as mock:
        first = mock.sync()
    with start() as mock:
        assert mock.job(first["jobId"]) == first
        assert mock.sync()["rowsSynced"] == 0
        assert len(mock.rows()) == 2


def test_a_file_that_was_renamed_but_not_recorded_is_neither_lost_nor_doubled(
    start: Start, landing: Landing, tmp_path: Path
) -> None:
    landing.put("orders/a.csv", ORDERS)
    with start() as mock:
        mock.sync()
    for state in (tmp_path / "state").glob("state.sqlite*"):
        state.unlink()
    with start() as mock:
        assert mock.sync()["rowsSynced"] == 2
        assert len(mock.rows()) == 2


def test_a_sync_that_was_running_when_the_server_died_is_a_new_attempt(start: Start, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    with start() as mock:
        mock.fault(kind="stuck_running")
        job_id = mock.start()["jobId"]
        mock.wait(job_id, "running")
    with start() as mock:
        assert mock.wait(job_id)["status"] == "succeeded"
        assert [attempt["status"] for attempt in mock.attempts(job_id)] == ["failed", "succeeded"]
        assert len(mock.rows()) == 2


def test_an_overwriting_stream_holds_only_the_newest_generation(start: Start, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    with start(mode="full_refresh_overwrite") as mock:
        mock.sync()
        landing.remove("orders/a.csv")
        landing.put("orders/b.csv", "id,name,price,at\n3,cat,3,\n")
        mock.sync()
        assert mock.rows("id, _airbyte_generation_id") == [(3, 2)]


def test_a_clear_empties_the_streams_and_makes_every_file_unread(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    mock.sync()
    cleared = mock.start("clear")
    assert cleared["jobType"] == "reset"
    assert mock.wait(cleared["jobId"])["status"] == "succeeded"
    assert mock.rows() == []
    assert mock.sync()["rowsSynced"] == 2


def test_attempts_tell_the_figures_of_each_stream(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    (attempt,) = mock.attempts(mock.sync()["jobId"])
    stats = {stream["streamName"]: stream["stats"] for stream in attempt["streamStats"]}
    assert stats["orders"]["recordsCommitted"] == 2
    assert stats["orders"]["bytesCommitted"] == len(ORDERS)
    assert stats["shops"]["recordsCommitted"] == 0


def test_a_missing_bucket_fails_the_sync_and_is_named(mock: Mock, landing: Landing) -> None:
    landing.client.delete_bucket(Bucket=landing.bucket)
    job = mock.sync()
    assert job["status"] == "failed"
    failures = mock.attempts(job["jobId"])[0]["failureSummary"]["failures"]
    assert landing.bucket in failures[0]["externalMessage"]
    assert failures[0]["failureType"] == "config_error"


def test_an_unreachable_s3_is_tried_again_and_then_fails(start: Start) -> None:
    with start(s3_endpoint_url="http://127.0.0.1:9", max_attempts=2) as mock:
        job = mock.sync()
        assert job["status"] == "failed"
        assert len(mock.attempts(job["jobId"])) == 2


# -- files that are taken out --------------------------------------------------------------------------------------


def removed(mock: Mock, key: str, bucket: str) -> dict[str, int]:
    answer = mock.http.post("/_mock/removals", json={"bucket": bucket, "key": f"inbound/{key}"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["removed"])


def test_a_removed_files_rows_go_in_all_its_versions_and_no_others(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    mock.sync()
    landing.put("orders/a.csv", ORDERS.replace("ant", "bee"))
    landing.put("orders/a.csv.csv", "id,name\n3,cat\n")
    mock.sync()
    assert removed(mock, "orders/a.csv", landing.bucket) == {"orders": 4}
    assert mock.rows("id, name") == [(3, "cat")]
    assert removed(mock, "orders/a.csv", landing.bucket) == {}


@pytest.mark.parametrize("content", [ORDERS, ORDERS.replace("ant", "bee")], ids=["the same content", "mended"])
def test_a_removed_file_is_read_again_where_it_lands_again(mock: Mock, landing: Landing, content: str) -> None:
    landing.put("orders/a.csv", ORDERS)
    mock.sync()
    landing.remove("orders/a.csv")
    removed(mock, "orders/a.csv", landing.bucket)
    assert mock.sync()["rowsSynced"] == 0
    landing.put("orders/a.csv", content)
    assert mock.sync()["rowsSynced"] == 2
    assert len(mock.rows("id")) == 2


def test_a_removed_archives_files_go_all(mock: Mock, landing: Landing, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one.csv", ORDERS)
        archive.writestr("two.csv", ORDERS)
    landing.put("orders/a.zip", (tmp_path / "a.zip").read_bytes())
    assert mock.sync()["rowsSynced"] == 4
    assert removed(mock, "orders/a.zip", landing.bucket) == {"orders": 4}
    assert mock.sync()["rowsSynced"] == 4


def test_a_file_of_the_same_name_in_another_bucket_stays(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    mock.sync()
    assert removed(mock, "orders/a.csv", "another") == {}
    assert len(mock.rows("id")) == 2


def test_a_file_is_removed_beside_columns_that_are_called_as_duckdb_calls_its_own(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", ORDERS)
    landing.put("shops/b.csv", "id,filename,file_row_number,rowid\n1,x,2,3\n")
    mock.sync()
    assert removed(mock, "orders/a.csv", landing.bucket) == {"orders": 2}
    assert removed(mock, "shops/b.csv", landing.bucket) == {"shops": 1}


def test_a_file_is_not_removed_without_its_key(mock: Mock) -> None:
    assert mock.http.post("/_mock/removals", json={"bucket": "b", "key": ""}).status_code == 422


# -- objects that are not files ------------------------------------------------------------------------------------

MARKERS = [
    "_SUCCESS",
    "_committed_12",
    ".part-0.csv.crc",
    "_temporary/",
    "a.json",
    "notes.txt",
    "README",
    ".hidden.csv",
]


def test_each_object_that_is_no_file_is_named_once_with_the_reason(mock: Mock, landing: Landing) -> None:
    for name in MARKERS:
        landing.put(f"orders/{name}", "" if name.startswith("_") else "x")
    landing.put("orders/a.csv", ORDERS)
    notes = [mock.notes(mock.sync()["jobId"]) for _ in range(2)]
    assert [len(each) for each in notes] == [len(MARKERS), 0]
    assert {line.split(" is ignored: ")[0] for line in notes[0]} == {f"WARN inbound/orders/{name}" for name in MARKERS}
    assert "it has the suffix .json, but the stream reads .csv, .jsonl, .parquet" in "\n".join(notes[0])
    assert len(mock.rows("id")) == 2

"""`--like-airbyte`: what Airbyte's source-s3 and its destinations do otherwise than the mock by default."""

import re
import time
from datetime import UTC, datetime, timedelta

import duckdb

from services.airbyte.catalog.like_airbyte import History
from tests.integration.airbyte.running_mock import CONNECTION, Landing, Mock, Start

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def _types(mock: Mock) -> dict[str, str]:
    query = f"describe from read_parquet('{mock.lake}/orders/*.parquet', union_by_name = true)"
    return {name: type_ for name, type_, *_ in duckdb.connect().execute(query).fetchall()}


def _next_second(landing: Landing, key: str, text: str) -> None:
    """Put an object so that its date is another one than before."""
    before = landing.client.head_object(Bucket=landing.bucket, Key=f"inbound/{key}")["LastModified"]
    deadline = time.monotonic() + 10
    while landing.client.head_object(Bucket=landing.bucket, Key=f"inbound/{key}")["LastModified"] == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        landing.put(key, text)


def test_columns_of_csv_and_dates_of_files_are_text(start: Start, landing: Landing) -> None:
    landing.put("orders/a.csv", "id,name,price,at,new\n007,ann,1.50,2026-01-01T00:00:00Z,1\n")
    with start(like_airbyte=True) as mock:
        assert mock.sync()["status"] == "succeeded"
        types = _types(mock)
        assert {
            name: types[name] for name in ("id", "name", "price", "at", "new", "_ab_source_file_last_modified")
        } == (dict.fromkeys(("id", "name", "price", "at", "new", "_ab_source_file_last_modified"), "VARCHAR"))
        assert types["_airbyte_extracted_at"] == "TIMESTAMP WITH TIME ZONE"
        assert mock.rows('id, price, "at", new') == [("007", "1.50", "2026-01-01T00:00:00Z", "1")]
        [(date,)] = mock.rows("_ab_source_file_last_modified")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", date)
        answer = mock.http.post("/api/v1/connections/get", json={"connectionId": CONNECTION}).json()
    orders = next(each["stream"] for each in answer["syncCatalog"]["streams"] if each["stream"]["name"] == "orders")
    assert {each["type"] for each in orders["jsonSchema"]["properties"].values()} == {"string"}


def test_a_file_is_read_again_by_its_date_and_not_by_its_content(start: Start, landing: Landing) -> None:
    landing.put("orders/a.csv", text := "id,name,price,at\n1,ann,1,\n")
    with start(like_airbyte=True) as mock:
        assert mock.sync()["rowsSynced"] == 1
        assert mock.sync()["rowsSynced"] == 0
        _next_second(landing, "orders/a.csv", text)
        assert mock.sync()["rowsSynced"] == 1
        assert mock.rows("id") == [("1",), ("1",)]


def test_a_state_of_the_mock_by_content_goes_on_without_reading_anything_twice(start: Start, landing: Landing) -> None:
    landing.put("orders/a.csv", "id,name,price,at\n1,ann,1,\n")
    with start() as mock:
        assert mock.sync()["rowsSynced"] == 1
    with start(like_airbyte=True) as mock:
        assert mock.sync()["rowsSynced"] == 0
        landing.put("orders/b.csv", "id,name,price,at\n2,bob,2,\n")
        assert mock.sync()["rowsSynced"] == 1
        assert mock.rows("id::varchar", order="1") == [("1",), ("2",)]


def test_rows_before_a_bad_one_and_the_other_files_are_loaded_and_the_mended_file_brings_all(
    start: Start, landing: Landing
) -> None:
    landing.put("orders/a.csv", "id,name,price,at\n1,ann,1,\n2,bob,2,\n3,cy,3,x,too,many\n4,di,4,\n")
    landing.put("orders/b.csv", "id,name,price,at\n5,ed,5,\n")
    with start(like_airbyte=True) as mock:
        job = mock.sync()
        assert job["status"] == "failed"
        assert "orders/a.csv, line 4" in mock.reason(job["jobId"])
        assert job["rowsSynced"] == 3
        assert mock.rows("id") == [("1",), ("2",), ("5",)]
        _next_second(landing, "orders/a.csv", "id,name,price,at\n1,ann,1,\n2,bob,2,\n3,cy,3,\n4,di,4,\n")
        assert mock.sync()["rowsSynced"] == 4
        assert mock.rows("id") == [("1",), ("1",), ("2",), ("2",), ("3",), ("4",), ("5",)]


def test_of_more_files_than_are_remembered_the_newest_count_and_then_a_window_of_three_days() -> None:
    days = {f"{day:02}.csv": NOW - timedelta(days=30 - day) for day in range(1, 31)}
    history = History(days, limit=10, now=NOW)
    assert not history.wants("30.csv", days["30.csv"])
    assert history.wants("30.csv", days["30.csv"] + timedelta(seconds=1))
    assert not history.wants("01.csv", days["01.csv"])
    assert not history.wants("late.csv", NOW - timedelta(days=20))
    assert history.wants("late.csv", NOW - timedelta(days=2))
    assert History(days, limit=31, now=NOW).wants("late.csv", NOW - timedelta(days=20))


def test_files_older_than_all_that_are_remembered_are_read_again_within_the_window() -> None:
    hours = {f"{hour:02}.csv": NOW - timedelta(hours=hour) for hour in range(30)}
    history = History(hours, limit=10, now=NOW)
    assert history.wants("29.csv", hours["29.csv"])
    assert not history.wants("09.csv", hours["09.csv"])

"""Compacted raw has the same rows, and everything that reads it goes on as before."""

from typing import Any

import pytest

from blocks.airbyte.errors import CompactionFailed
from blocks.warehouse import RawReadOnly
from flows.compact import compact
from flows.dbt_transform import dbt_transform
from flows.full_pipeline import full_pipeline
from flows.remove_file import remove_file
from tests.integration.flows.modes import every_mode
from tests.integration.flows.platform import Platform, flights

FACTS = "select * exclude (_airbyte_raw_id) from fct_flights order by time_hour, carrier, flight_number"


def facts(platform: Platform) -> list[tuple[Any, ...]]:
    return platform.query(FACTS)


@every_mode
@pytest.mark.exhaustive
def test_compacted_raw_gives_the_same_tables_by_the_next_days_and_from_scratch(loaded: Platform) -> None:
    for day in (2, 3):
        loaded.put(f"flights/day-{day}.csv.gz", flights(day))
        full_pipeline()
    before, rows = facts(loaded), loaded.raw_rows("flights")
    on_snowflake = loaded.schema != "main"
    counts = compact()
    assert counts == {} if on_snowflake else counts["flights"] == (3, 1)
    assert loaded.raw_rows("flights") == rows
    dbt_transform()
    assert facts(loaded) == before
    loaded.put("flights/day-4.csv.gz", flights(4))
    assert full_pipeline().syncs[0].rows == 20
    after = facts(loaded)
    assert len(after) == len(before) + 20
    compact("flights")
    dbt_transform(full_refresh=True)
    assert facts(loaded) == after
    assert remove_file("inbound/flights/day-3.csv.gz").rows == {"flights": 20}
    assert len(facts(loaded)) == len(before)
    assert loaded.query("select count(*) from fct_flights where flight_date = '2013-01-03'") == [(0,)]


def test_a_stream_that_is_not_there_fails_the_run(loaded: Platform) -> None:
    with pytest.raises(CompactionFailed, match=r"there is no stream 'flight' in the lake\. Its streams are: .*flights"):
        compact("flight")


def test_a_server_that_is_no_mock_leaves_the_lake_alone(loaded: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRBYTE_SERVER_URL", loaded.airbyte.replace("/api/public/v1", "/other"))
    before = loaded.raw_rows("flights")
    with pytest.raises(RawReadOnly, match="cannot be merged: only the mock Airbyte writes them"):
        compact()
    assert loaded.raw_rows("flights") == before

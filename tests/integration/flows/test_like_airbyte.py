"""The whole pipeline where the mock does as Airbyte does: text in raw, files read by date, rows before a bad one."""

import httpx
import pytest

from blocks.airbyte.errors import SyncFailed
from flows.full_pipeline import full_pipeline
from tests.integration.flows.conftest import land_a_day, refresh
from tests.integration.flows.modes import like_airbyte
from tests.integration.flows.platform import Platform, flights

CONNECTION = "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10"


@pytest.mark.exhaustive
@like_airbyte
def test_the_pipeline_is_right_after_each_thing_that_airbyte_does_otherwise(platform: Platform) -> None:
    land_a_day(platform)
    full_pipeline()
    types = platform.raw_types("flights")
    assert (types["dep_time"], types["time_hour"], types["_ab_source_file_last_modified"]) == ("VARCHAR",) * 3
    assert platform.count("fct_flights") == 20

    platform.put("flights/2013-01-01.csv.gz", flights(1))
    assert full_pipeline().syncs[0].rows == 20, "the same content with a newer date is read again"
    assert platform.count("fct_flights") == 20

    rows = flights(2).splitlines()
    platform.put("flights/2013-01-02.csv.gz", "\n".join([*rows[:11], f"{rows[11]},too,many", *rows[12:]]) + "\n")
    with pytest.raises(SyncFailed, match="2013-01-02"):
        full_pipeline()
    assert platform.raw_rows("flights") == 50, "the rows before the bad one are there"
    platform.put("flights/2013-01-02.csv.gz", flights(2))
    full_pipeline()
    assert platform.count("fct_flights") == 40

    platform.put("flights/2013-01-01.csv.gz", "\n".join(flights(1).splitlines()[:-1]) + "\n")
    full_pipeline()
    assert platform.count("fct_flights") == 39


@pytest.mark.exhaustive
@like_airbyte
def test_the_marts_are_right_after_a_refresh_and_after_a_column_that_waited_for_approval(platform: Platform) -> None:
    land_a_day(platform)
    full_pipeline()
    platform.put("flights/2013-01-01.csv.gz", flights(1, rows=19))
    refresh(platform, CONNECTION, "flights")
    full_pipeline()
    assert platform.raw_rows("flights") == 39, "the file as it is now, in another generation"
    assert platform.count("fct_flights") == 19

    _change(platform, nonBreakingSchemaUpdatesBehavior="disable_connection")
    header, *lines = flights(3).splitlines()
    wider = "\n".join([f"{header},gate", *(f"{line},B12" for line in lines)]) + "\n"
    platform.put("flights/2013-01-03.csv.gz", wider)
    with pytest.raises(SyncFailed, match="cancelled"):
        full_pipeline()
    assert platform.count("fct_flights") == 19, "a new column waits for a person"
    _change(platform, status="active")
    full_pipeline()
    assert platform.count("fct_flights") == 39


def _change(platform: Platform, **changes: str) -> None:
    httpx.patch(f"{platform.airbyte}/connections/{CONNECTION}", json=changes, timeout=60).raise_for_status()

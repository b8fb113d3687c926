"""The whole pipeline where the mock does as Airbyte does: text in raw, files read by date, rows before a bad one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks import lake
from blocks.airbyte import SyncFailed
from flows.full_pipeline import full_pipeline
from tests.integration.flows.conftest import land_a_day, running
from tests.integration.flows.platform import Platform, flights


@pytest.fixture
def platform(workshop: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setenv("MOCK_AIRBYTE_LIKE_AIRBYTE", "true")
    with running(workshop, variables) as platform:
        yield platform


def test_the_pipeline_is_right_after_each_thing_that_airbyte_does_otherwise(platform: Platform) -> None:
    land_a_day(platform)
    full_pipeline()
    types = lake.columns(platform.lake)["flights"]
    assert (types["dep_time"], types["time_hour"], types["_ab_source_file_last_modified"]) == ("VARCHAR",) * 3
    assert platform.count("fct_flights") == 20

    platform.put("flights/2013-01-01.csv.gz", flights(1))
    assert full_pipeline().syncs[0].rows == 20, "the same content with a newer date is read again"
    assert platform.count("fct_flights") == 20

    rows = flights(2).splitlines()
    platform.put("flights/2013-01-02.csv.gz", "\n".join([*rows[:11], f"{rows[11]},too,many", *rows[12:]]) + "\n")
    with pytest.raises(SyncFailed, match="2013-01-02"):
        full_pipeline()
    assert lake.rows(platform.lake)["flights"] == 50, "the rows before the bad one are there"
    platform.put("flights/2013-01-02.csv.gz", flights(2))
    full_pipeline()
    assert platform.count("fct_flights") == 40

    platform.put("flights/2013-01-01.csv.gz", "\n".join(flights(1).splitlines()[:-1]) + "\n")
    full_pipeline()
    assert platform.count("fct_flights") == 39

"""On Snowflake, too, a day reads what its files may have changed, and a row that commits late is not passed over."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dbt.lake import STREAMS, Lake
from tests.integration.snowflake.emulator import PASSWORD, USER, running_emulator
from tests.integration.snowflake.project import SnowflakePlatform
from tests.integration.snowflake.raw import INFERRED, load_raw

pytestmark = pytest.mark.filterwarnings("ignore:The 'insecure_mode' connection property is deprecated")

HISTORY, TODAY = "timestamptz '2026-01-01 12:00:00+00'", "timestamptz '2026-02-01 12:00:00+00'"
FLIGHTS = "select _airbyte_raw_id from {} order by 1"
BOUND = re.compile(r"time_hour between|_airbyte_extracted_at[^<]*>= cast|time_hour >=")
METADATA = re.compile(
    r"select count\(\*\)( as flights)? from [^\s)]+|^(show|describe|create or replace +view|drop|alter) .*"
)
"""What Snowflake answers without reading a row."""


@dataclass
class World:
    platform: SnowflakePlatform
    staged: set[Path]

    def load(self, pattern: str, at: str, stream: str = "flights") -> None:
        self.platform.lake.load_landing(stream, pattern, at=at)

    def build(self) -> list[str]:
        """Build with all tests; return the statements that dbt has sent."""
        load_raw(self.platform.emulator, self.platform.lake, self.staged, INFERRED)
        sent = list[str]()

        def hear(event: Any) -> None:
            if event.info.name == "SQLQuery":
                sent.append(
                    " ".join(re.sub(r"/\*.*?\*/|--[^\n]*", "", event.data.sql, flags=re.DOTALL).lower().split())
                )

        assert self.platform.dbt("build", "--exclude-resource-type", "unit_test", callback=hear).success
        return sent


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Nine days that were loaded a month ago, and built."""
    lake = Lake(tmp_path / "lake")
    with running_emulator(tmp_path / "snowflake", user=USER, password=PASSWORD) as emulator:
        world = World(SnowflakePlatform(emulator.folder, lake, emulator=emulator), set())
        for stream in STREAMS:
            world.load("*-0?.csv.gz" if stream == "flights" else "*", HISTORY, stream)
        world.build()
        yield world


@pytest.mark.exhaustive
def test_what_a_day_reads_is_bounded_by_its_files(world: World) -> None:
    world.load("*-10.csv.gz", TODAY)
    sent = world.build()
    for table in ("raw.flights", "analytics_staging.stg_flights", "analytics.fct_flights"):
        names = re.compile(rf"(from|join|using) (flights\.)?{re.escape(table)}\b")
        reading = [each for each in sent if names.search(METADATA.sub("", each))]
        assert reading, table
        assert [each for each in reading if not BOUND.search(each)] == [], table


@pytest.mark.exhaustive
def test_rows_that_commit_long_after_they_were_extracted_are_noted_and_built(world: World) -> None:
    for pattern, at in (("*-10.csv.gz", TODAY), ("*-11.csv.gz", "timestamptz '2026-01-12 00:00:00+00'")):
        world.load(pattern, at)
        world.build()
    held, staged = (
        world.platform.rows(FLIGHTS.format(f"analytics{each}")) for each in (".fct_flights", "_staging.stg_flights")
    )
    assert len(held) == len(staged) == world.platform.rows("select count(*) from raw.flights")[0][0]
    assert held == staged

"""After any history of loads, each incremental build leaves what a build from scratch would: what staging shows."""

from pathlib import Path
from random import Random

import pytest

from tests.integration.dbt.project import Platform

DAYS = ("01", "02", "03", "04")
CHANGES = (
    "*",
    "* replace (coalesce(dep_time, 0) + 1 as dep_time)",
    "* replace (flight + 9000 as flight)",
    "* replace (time_hour + interval 40 day as time_hour)",
)
KEPT = ("true", "carrier <> 'UA'", "flight % 3 > 0", "carrier = 'UA'")
COMPARED = (
    "from (select _airbyte_raw_id, time_hour, carrier, flight_number, dep_time from main_staging.stg_flights) "
    "order by all",
    "select _airbyte_raw_id, time_hour, carrier, flight_number, dep_time from fct_flights order by all",
)


def load(platform: Platform, random: Random, minute: int) -> str:
    """Load a day's file: new or again, whole, changed or shortened, in time or extracted before earlier loads."""
    day, change, kept = random.choice(DAYS), random.choice(CHANGES), random.choice(KEPT)
    when = minute - random.choice((0, 0, 0, 5))
    generation = random.choice((0, 0, minute // 4))
    at = f"timestamptz '2013-02-01 00:00:00+00' + interval {when} minute"
    platform.lake.load_landing("flights", f"*-{day}.csv.gz", at=at, change=change, where=kept, generation=generation)
    return f"day {day}, {change}, {kept}, minute {when}, generation {generation}"


@pytest.mark.parametrize("seed", [7, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(100, 112))])
def test_an_incremental_build_leaves_what_staging_shows(
    empty: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.chdir(tmp_path)  # the view of staging names the lake as dbt did
    platform, random, history = empty.copy(tmp_path), Random(seed), list[str]()
    for minute in range(10, 16):
        history += [load(platform, random, minute) for _ in range(random.choice((1, 1, 2)))]
        assert platform.results("run", "--select", "fct_flights")["fct_flights"].status == "success"
        staging, facts = (platform.rows(query) for query in COMPARED)
        assert facts == staging, "\n".join(history)

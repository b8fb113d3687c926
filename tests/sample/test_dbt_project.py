"""What the dbt project makes of raw, run by dbt on real files and a real DuckDB warehouse."""

import csv
import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from subprocess import PIPE

import pytest

from tests.integration.dbt.lake import LANDING
from tests.integration.dbt.project import PROJECT, Platform, broken

FLIGHTS = "select * from fct_flights order by time_hour, carrier, flight_number"
KEYS_AND_VERSIONS = "select time_hour, carrier, flight_number, _airbyte_raw_id from fct_flights"


def test_a_platform_without_data_builds_and_tests_pass(empty: Platform) -> None:
    assert empty.rows(FLIGHTS) == []


def test_a_source_that_never_received_a_row_is_stale(empty: Platform) -> None:
    assert empty.freshness() == {"flights": "error", "weather": "error"}


def test_a_source_that_was_loaded_today_is_fresh(january: Platform) -> None:
    assert january.freshness() == {"flights": "pass", "weather": "pass"}


def test_every_flight_of_january_is_one_row(january: Platform) -> None:
    assert january.rows("select count(*), count(*) - count(dep_time) from fct_flights") == [(27_004, 521)]


def test_each_airline_has_the_flights_of_the_files(january: Platform) -> None:
    expected: Counter[str] = Counter()
    for path in (LANDING / "flights").glob("*.csv.gz"):
        with gzip.open(path, "rt", newline="") as text:
            expected.update(row["carrier"] for row in csv.DictReader(text))
    assert dict(january.rows("select carrier, sum(flights) from agg_daily_performance group by carrier")) == expected


def test_on_time_is_counted_as_the_files_have_it(january: Platform) -> None:
    with gzip.open(LANDING / "flights" / "flights-2013-01-15.csv.gz", "rt", newline="") as text:
        delays = [row["arr_delay"] for row in csv.DictReader(text) if row["carrier"] == "UA"]
    on_time = sum(delay != "" and int(delay) < 15 for delay in delays)
    one_cell = "flight_date = '2013-01-15' and carrier = 'UA'"
    [row] = january.rows(f"select flights, on_time, on_time_rate from agg_daily_performance where {one_cell}")
    assert row == (len(delays), on_time, pytest.approx(on_time / len(delays)))


def test_weather_is_known_for_all_flights_but_those_without_an_observation(january: Platform) -> None:
    assert january.rows("select sum(flights) from agg_weather_delays where weather = 'unknown'") == [(52,)]


def test_a_row_names_the_file_that_it_came_from(january: Platform) -> None:
    query = "select distinct _ab_source_file_url from fct_flights where flight_date = '2013-01-31'"
    assert january.rows(query) == [("inbound/flights/flights-2013-01-31.csv.gz",)]


def test_a_file_that_commits_late_is_added_and_nothing_else_moves(thirty_days: Platform, january: Platform) -> None:
    before, after = set(thirty_days.rows(KEYS_AND_VERSIONS)), set(january.rows(KEYS_AND_VERSIONS))
    added = january.rows(KEYS_AND_VERSIONS + " where flight_date = '2013-01-31'")
    assert before < after
    assert after - before == set(added)


def test_a_second_run_on_the_same_raw_changes_nothing(platform: Platform) -> None:
    tables = [FLIGHTS, "from agg_daily_performance order by all", "from main_snapshots.planes_snapshot order by all"]
    before = [platform.rows(table) for table in tables]
    assert broken(platform.build()) == []
    assert [platform.rows(table) for table in tables] == before


def test_a_changed_file_replaces_the_rows_of_the_one_before(platform: Platform) -> None:
    platform.lake.load_landing("flights", "*-15.csv.gz", change="* replace (coalesce(dep_time, 1200) as dep_time)")
    platform.build("stg_flights+")
    the_day = "flight_date = '2013-01-15'"
    assert platform.rows("select count(*) from fct_flights") == [(27_004,)]
    assert platform.rows(f"select count(*) from fct_flights where {the_day} and dep_time is null") == [(0,)]
    assert platform.rows(f"select sum(cancelled) from agg_daily_performance where {the_day}") == [(0,)]


def test_an_older_version_that_commits_late_replaces_nothing(platform: Platform) -> None:
    before = platform.rows(FLIGHTS)
    platform.lake.load_landing(
        "flights", "*-15.csv.gz", at="timestamptz '2013-02-01 00:00:00+00'", change="* replace (0 as dep_time)"
    )
    platform.build("+fct_flights")
    assert platform.rows(FLIGHTS) == before


def test_values_nulled_by_the_load_warn_with_their_number_until_the_file_is_mended(platform: Platform) -> None:
    platform.lake.load_landing("weather", nulled="wind_gust")
    nulled = platform.build("+stg_weather")["source_no_airbyte_changes_raw_weather_"]
    assert (nulled.status, nulled.failures) == ("warn", 2_226)
    platform.lake.load_landing("weather")
    assert broken(platform.build("+stg_weather")) == []


def test_keys_that_a_file_has_twice_warn_with_the_rows_left_out_until_the_file_is_mended(platform: Platform) -> None:
    platform.lake.load_landing("airlines", change="* replace ('UA' as carrier)")
    results = platform.build("+stg_airlines")
    twice = results["source_unique_in_each_file_raw_airlines_carrier"]
    assert (twice.status, twice.failures) == ("warn", 15)
    assert results["stg_airlines"].status == "success"
    platform.lake.load_landing("airlines")
    assert broken(platform.build("+stg_airlines")) == []


def test_a_key_is_tested_in_raw_by_the_columns_that_staging_goes_by(platform: Platform) -> None:
    nodes = json.loads((platform.folder / "target" / "manifest.json").read_text())["nodes"].values()
    tested = {
        node["depends_on"]["nodes"][0]: node["test_metadata"]["kwargs"]["columns"]
        for node in nodes
        if node.get("test_metadata", {}).get("name") == "unique_in_each_file"
    }
    by = {
        node["depends_on"]["nodes"][0]: re.findall(r"\w+", node["raw_code"].split("newest_version(")[1].split("]")[0])
        for node in nodes
        if "newest_version(" in node.get("raw_code", "") and node["resource_type"] == "model"
    }
    assert by == tested


def test_a_row_without_its_key_stops_the_build_before_the_marts(platform: Platform) -> None:
    before = platform.rows(FLIGHTS)
    platform.lake.load_landing("flights", "*-31.csv.gz", nulled="flight")
    results = platform.build("stg_flights", "fct_flights")
    assert results["whole_key_stg_flights_time_hour__carrier__flight_number"].status == "fail"
    assert results["fct_flights"].status == "skipped"
    assert platform.rows(FLIGHTS) == before


def test_the_snapshot_keeps_what_the_register_said_before(platform: Platform) -> None:
    platform.lake.load_landing("planes", change="* replace (if(tailnum = 'N10156', 50, seats) as seats)")
    platform.build("stg_planes", "planes_snapshot")
    snapshot = "from main_snapshots.planes_snapshot"
    versions = f"select seats, dbt_valid_to is null {snapshot} where tailnum = 'N10156' order by 2"
    assert platform.rows(versions) == [(55, False), (50, True)]
    assert platform.rows(f"select count(*) {snapshot}") == [(3_323,)]


def test_a_warehouse_that_another_process_holds_is_named(empty: Platform) -> None:
    hold = f"import duckdb; c = duckdb.connect({str(empty.warehouse)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=PIPE, stdout=PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        result = empty.dbt("run", "--select", "dim_airlines")
        other.communicate("\n")
    assert not result.success
    assert empty.warehouse.name in str(result.exception)
    assert str(other.pid) in str(result.exception)


def test_the_documentation_is_one_page(platform: Platform) -> None:
    assert platform.dbt("docs", "generate", "--static").success
    assert "agg_daily_performance" in (platform.folder / "target" / "static_index.html").read_text()


@pytest.mark.exhaustive
def test_the_snapshot_dates_its_rows_in_utc_whatever_the_machines_time_zone_is(platform: Platform) -> None:
    build = (
        "import sys; from pathlib import Path; from tests.integration.dbt.project import Platform; "
        "from tests.integration.dbt.lake import Lake; f = Path(sys.argv[1]); "
        "sys.exit(not Platform(f, Lake(f / 'lake')).dbt('snapshot').success)"
    )
    for seats, zone in ((50, "Asia/Kolkata"), (51, "America/New_York")):
        changed = f"* replace (if(tailnum = 'N10156', {seats}, seats) as seats)"
        platform.lake.load_landing("planes", change=changed)
        environment = {**os.environ, "TZ": zone, "PYTHONPATH": str(PROJECT.parent)}
        subprocess.run([sys.executable, "-c", build, str(platform.folder)], env=environment, check=True, timeout=120)
    rows = platform.rows(
        "select dbt_valid_from, dbt_valid_to, epoch(dbt_valid_from) from main_snapshots.planes_snapshot "
        "where tailnum = 'N10156' order by dbt_valid_from"
    )
    assert len(rows) == 3
    assert all(valid_to is None or valid_to > valid_from for valid_from, valid_to, _ in rows)
    assert [after[0] for after in rows[1:]] == [before[1] for before in rows[:-1]]
    assert abs(rows[-1][2] - time.time()) < 1800


def test_a_row_that_was_deleted_at_the_source_leaves_staging_and_marts(platform: Platform) -> None:
    platform.lake.load_landing("flights", "*-15.csv.gz", where="carrier <> 'UA'")
    platform.lake.load_landing("airports", where="faa <> '04G'")
    platform.build("+fct_flights", "dim_airports", "+agg_daily_performance")
    of_united = "where flight_date = '2013-01-15' and carrier = 'UA'"
    assert platform.rows(f"select count(*) from fct_flights {of_united}") == [(0,)]
    assert platform.rows(f"select count(*) from agg_daily_performance {of_united}") == [(0,)]
    assert platform.rows("select count(*) from fct_flights where flight_date <> '2013-01-15'") == [(26_110,)]
    assert platform.rows("select count(*) from dim_airports where faa = '04G'") == [(0,)]


def test_a_key_that_changed_at_the_source_is_one_row_under_its_new_key(platform: Platform) -> None:
    platform.lake.load_landing("flights", "*-15.csv.gz", change="* replace (flight + 9000 as flight)")
    platform.lake.load_landing("airlines", change="* replace (if(carrier = 'HA', 'H2', carrier) as carrier)")
    platform.build("+fct_flights", "dim_airlines")
    the_day = "where flight_date = '2013-01-15'"
    assert platform.rows(f"select count(*), min(flight_number) > 9000 from fct_flights {the_day}") == [(894, True)]
    assert platform.rows("select count(*) from fct_flights") == [(27_004,)]
    assert platform.rows("select count(*), count(case when carrier = 'HA' then 1 end) from dim_airlines") == [(16, 0)]


def test_flights_of_a_file_that_raw_no_longer_has_stay(platform: Platform) -> None:
    for file in (platform.folder / "lake" / "flights").glob("*-flights-2013-01-15*"):
        file.unlink()
    platform.build("+fct_flights")
    assert platform.rows("select count(*) from fct_flights") == [(27_004,)]


@pytest.mark.parametrize(
    "noted", [True, pytest.param(False, marks=pytest.mark.exhaustive)], ids=["with notes", "before there were notes"]
)
def test_rows_of_a_load_that_raw_has_lost_go_once_their_file_is_loaded_again(platform: Platform, noted: bool) -> None:
    for file in (platform.folder / "lake" / "flights").glob("*-flights-2013-01-15*"):
        file.unlink()
    if not noted:
        for notes in ("parts", "loads", "changes", "reads"):
            platform.sql(f"drop table _dbt_{notes}")
    platform.build("+fct_flights+", "+int_weather+")
    a_year_later = "* replace (time_hour + interval 400 day as time_hour, year + 1 as year)"
    platform.lake.load_landing("flights", "*-15.csv.gz", change=a_year_later)
    assert broken(platform.build("+fct_flights+", "+int_weather+")) == []
    assert platform.rows("select count(*) from fct_flights where flight_date = '2013-01-15'") == [(0,)]
    assert platform.rows("select sum(flights) from agg_daily_performance where flight_date = '2013-01-15'") == [(None,)]


def test_the_newest_generation_of_a_file_counts_and_files_that_it_has_not_reached_stay(platform: Platform) -> None:
    platform.lake.load_landing("flights", "*-15.csv.gz", where="carrier <> 'UA'", generation=1)
    platform.lake.load_landing("airlines", where="carrier <> 'HA'", generation=1)
    platform.build("+fct_flights", "+dim_airlines")
    assert platform.rows("select count(*) from fct_flights where flight_date = '2013-01-16'") == [(901,)]
    assert platform.rows("select count(*) from fct_flights where carrier = 'UA' and flight_date = '2013-01-15'") == [
        (0,)
    ]

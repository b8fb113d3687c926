"""After any history of loads, each incremental build leaves what a build from scratch would: what staging shows."""

import os
import signal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from services.airbyte.load import compaction
from services.airbyte.load.convert import connect
from tests.integration.dbt.histories import forked
from tests.integration.dbt.lake import Lake
from tests.integration.dbt.project import Platform

DAYS = ("01", "02", "03", "04")
CHANGES = (
    "*",
    "* replace (coalesce(dep_time, 0) + 1 as dep_time)",
    "* replace (flight + 9000 as flight)",
    "* replace (time_hour + interval 40 day as time_hour)",
    "* replace (time_hour + interval 400 day as time_hour, year + 1 as year)",
    "* replace (if(carrier = 'UA', 'AA', carrier) as carrier, if(dest = 'ORD', 'LAX', dest) as dest)",
    "* replace (coalesce(arr_delay, 0) + 90 as arr_delay, if(origin = 'JFK', 'LGA', origin) as origin)",
)
KEPT = ("true", "carrier <> 'UA'", "flight % 3 > 0", "carrier = 'UA'", "dest <> 'ORD'")
WEATHER = ("*", "* replace (0.5 as precip)", "* replace (30 as wind_speed)", "* replace (1 as visib, 20 as temp)")
OBSERVED = ("true", "origin <> 'JFK'", "hour % 2 = 0", "day > 1")

FLIGHTS = "select _airbyte_raw_id, time_hour, carrier, flight_number, dep_time from {} order by all"
HOURS = "select _airbyte_raw_id, origin, time_hour, temperature_f, precipitation_inches from {} order by all"
SUMS = """
    count(*) as flights, count(*) filter (status = 'cancelled') as cancelled,
    count(*) filter (status = 'diverted') as diverted, count(*) filter (status = 'on_time') as on_time,
    count(*) filter (status = 'late') as late, avg(dep_delay_minutes), avg(arr_delay_minutes)
"""
MEASURES = "flights, cancelled, diverted, on_time, late, avg_dep_delay_minutes, avg_arr_delay_minutes"
WEATHER_OF_A_FLIGHT = """
    case
        when weather.origin is null then 'unknown'
        when precipitation_inches > 0 and temperature_f <= 32 then 'snow or ice'
        when precipitation_inches > 0 then 'rain'
        when visibility_miles < 3 then 'low visibility'
        when wind_speed_mph >= 25 then 'strong wind'
        else 'fair'
    end
"""
ALL = ("+int_weather+", "+fct_flights+")
COMPARED = {
    "fct_flights": (FLIGHTS.format("fct_flights"), FLIGHTS.format("main_staging.stg_flights")),
    "int_weather": (HOURS.format("main_intermediate.int_weather"), HOURS.format("main_staging.stg_weather")),
    "agg_daily_performance": (
        f"select flight_date, carrier, {MEASURES} from agg_daily_performance order by all",
        f"select flight_date, carrier, {SUMS} from fct_flights group by all order by all",
    ),
    "agg_route_delays": (
        f"""select origin, dest, distance_miles, {MEASURES}, round(p90_arr_delay_minutes, 6)
        from agg_route_delays order by all""",
        f"""select origin, dest, max(distance_miles), {SUMS}, round(percentile_cont(0.9) within group (
        order by arr_delay_minutes::double), 6) from fct_flights group by all order by all""",
    ),
    "agg_weather_delays": (
        f"select origin, weather, {MEASURES} from agg_weather_delays order by all",
        f"""select flights.origin, {WEATHER_OF_A_FLIGHT}, {SUMS} from fct_flights as flights
        left join main_staging.stg_weather as weather using (origin, time_hour) group by all order by all""",
    ),
}
"""A table's rows, and what staging and the facts say that they should be."""


def load(platform: Platform, random: Random, minute: int) -> str:
    """Load a file: new or again, whole, changed or shortened, in time or extracted before earlier loads."""
    when = minute - random.choice((0, 0, 0, 5))
    generation = random.choice((0, 0, minute // 4))
    at = f"timestamptz '2013-02-01 00:00:00+00' + interval {when} minute"
    if random.random() < 0.2:
        pattern, change, kept = "*", random.choice(WEATHER), random.choice(OBSERVED)
        platform.lake.load_landing("weather", pattern, at=at, change=change, where=kept, generation=generation)
        return f"weather, {change}, {kept}, minute {when}, generation {generation}"
    day, change, kept = random.choice(DAYS), random.choice(CHANGES), random.choice(KEPT)
    platform.lake.load_landing("flights", f"*-{day}.csv.gz", at=at, change=change, where=kept, generation=generation)
    return f"day {day}, {change}, {kept}, minute {when}, generation {generation}"


def compact(platform: Platform, random: Random) -> str:
    """Merge some of a stream's Parquet files, as the mock Airbyte does, or in no order, as somebody else may."""
    folder = platform.lake.folder / "flights"
    files = sorted(folder.glob("*.parquet"))
    merged = random.sample(files, random.randint(1, len(files)))
    if random.random() < 0.5:
        with connect("1GB", 2, folder.parent / ".spill") as connection:
            known = {file.name for file in merged}
            before, after = compaction.compact(connection, folder, known, folder / ".new.tmp", lambda: None)
        return f"{before} files became {after}"
    names = ", ".join(f"'{file}'" for file in merged)
    new = merged[0].with_suffix(".new")
    duckdb.connect().execute(
        f"copy (from read_parquet([{names}], union_by_name=true) order by random()) to '{new}' (format parquet)"
    )
    for file in merged:
        file.unlink()
    new.rename(merged[0])
    return f"{len(merged)} files put into one"


def killed(platform: Platform, random: Random, *select: str) -> str:
    """Run dbt in another process, which ends at once after some of its events."""
    left = [random.randint(20, 400)]

    def count(_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    events = left[0]
    os.waitpid(forked(lambda: platform.dbt("run", "--select", *select, callback=count)), 0)
    return f"killed after {events} events"


def from_scratch(platform: Platform, folder: Path) -> Platform:
    """Build the same raw into a new warehouse."""
    folder.mkdir()
    new = Platform(folder, Lake(folder / "lake"))
    for stream in ("flights", "weather", "airlines", "airports", "planes"):
        for file in (new.lake.folder / stream).iterdir():
            file.unlink()
        for file in (platform.lake.folder / stream).iterdir():
            (new.lake.folder / stream / file.name).hardlink_to(file)
    new.results("run", "--select", *ALL)
    return new


def differing(one: Platform, other: Platform) -> list[str]:
    """The tables that do not hold the same rows in two warehouses."""
    with duckdb.connect() as connection:
        for name, platform in (("one", one), ("other", other)):
            connection.execute(f"attach '{platform.warehouse}' as {name} (read_only)")
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'other' "
            "and table_name not like '!_dbt!_%' escape '!'"
        ).fetchall()
        assert len(tables) > len(COMPARED)
        return [
            f"{table}: {rows}"
            for (table,) in tables
            if (
                rows := connection.execute(
                    f"(from one.{table} except all from other.{table}) "
                    f"union all (from other.{table} except all from one.{table}) limit 5"
                ).fetchall()
            )
        ]


@pytest.mark.parametrize("seed", [7, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(100, 112))])
def test_an_incremental_build_leaves_what_staging_and_the_facts_show(
    empty: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.chdir(tmp_path)  # the view of staging names the lake as dbt did
    platform, random, history = empty.copy(tmp_path), Random(seed), list[str]()
    for minute in range(10, 16):
        history += [load(platform, random, minute) for _ in range(random.choice((1, 1, 2)))]
        if random.random() < 0.3:
            history.append(compact(platform, random))
        if random.random() < 0.3:
            history.append(killed(platform, random, *ALL))
        # A build of the facts alone, as of a selection, leaves the rest to the next build.
        select = random.choice((ALL, ALL, ("+fct_flights",)))
        history.append(f"run {' '.join(select)}")
        ran = platform.results("run", "--select", *select)
        assert {node.status for node in ran.values() if node.node.resource_type == "model"} == {"success"}
        for table, (held, wanted) in COMPARED.items():
            if select == ALL or table == "fct_flights":
                assert platform.rows(held) == platform.rows(wanted), "\n".join([table, *history])
    platform.results("run", "--select", *ALL)
    assert differing(platform, from_scratch(platform, tmp_path / "scratch")) == [], "\n".join(history)


@pytest.mark.exhaustive
def test_after_a_compaction_nothing_counts_as_changed(
    empty: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    platform = empty.copy(tmp_path)
    for day in DAYS[:3]:
        platform.lake.load_landing("flights", f"*-{day}.csv.gz", at=f"timestamptz '2013-02-{day} 00:00:00+00'")
    platform.results("run", "--select", *ALL)
    noted = "select source, file, row_count, least, greatest, number from _dbt_loads order by all"
    tables = {table: platform.rows(held) for table, (held, _) in COMPARED.items()}
    loads, folder = platform.rows(noted), platform.lake.folder / "flights"
    with connect("1GB", 2, tmp_path / "spill") as connection:
        known = {file.name for file in folder.glob("*.parquet")}
        before, after = compaction.compact(connection, folder, known, folder / ".new.tmp", lambda: None)
    assert (before, after) == (4, 1), "with the typed file of no rows"
    platform.results("run", "--select", *ALL)
    assert platform.rows(noted) == loads
    assert {table: platform.rows(held) for table, (held, _) in COMPARED.items()} == tables
    platform.lake.load_landing("flights", f"*-{DAYS[3]}.csv.gz", at="timestamptz '2013-02-04 00:00:00+00'")
    platform.results("run", "--select", *ALL)
    assert len(platform.rows("select * from fct_flights")) > len(tables["fct_flights"])
    assert differing(platform, from_scratch(platform, tmp_path / "scratch")) == []

"""Measure what a day of flights costs with a long history, compared with a history of one month.

It creates the lakes from copies of the sample's January, shifted into the past. It compacts them as the nightly run
does, builds them from scratch, and loads day after day into each. A separate process does with each day what
`full_pipeline` does after the sync, without Prefect: it checks that the files have arrived, builds and tests,
publishes, counts rows, and checks freshness. The figures are medians: `ours` with the history, `floor` with the month.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.figures import ROOT, Figure, figure
from services.airbyte.load.compaction import compact
from services.airbyte.load.convert import connect

LANDING = ROOT / "localstack" / "landing"
MONTH, DAYS = 27_004, 31
HIGHEST = 10_000
"""Higher than every flight number in the sample."""
MOST_MONTHS = 370
"""A larger history has no more months than this, but more flights in each."""
SMALL = ("airlines", "airports", "planes")
FIGURES = {
    "day": ("a day from raw to the readers, processor time", "s"),
    "clock": ("a day from raw to the readers, by the clock", "s"),
    "memory": ("a day's memory", "MiB"),
    "dbt": ("of it dbt build with all tests, processor time", "s"),
    "published": ("of it publication, processor time", "s"),
}


class Platform:
    """A lake with about `rows` flights (at least one month), and its warehouse."""

    def __init__(self, folder: Path, rows: int) -> None:
        months = min(MOST_MONTHS, max(1, round(rows / MONTH)))
        times = max(1, round(rows / MONTH / months))
        self.folder, self.rows, self.days = folder, months * times * MONTH, 0
        for stream in SMALL:
            self._write(stream, f"from read_csv('{LANDING / stream}/*', nullstr = ['', 'NA'])", 0, stream)
        for month in range(months):
            self._shifted(f"month-{month:05}", -DAYS * month, times)

    def day(self) -> list[str]:
        """Load the files of the next day of the history, and return their keys."""
        self.days += 1
        self._shifted(f"new-{self.days:03}", DAYS, 1, f"where day = {self.days}")
        return [f"inbound/{stream}/2013-02-{self.days:02}.csv.gz" for stream in ("flights", "weather")]

    def build(self, keys: Sequence[str] = ()) -> dict[str, float]:
        """Build, publish and check what was loaded, and return the cost of each step, by the names of `FIGURES`."""
        variables = {
            "LAKE_DIR": str(self.folder / "lake"),
            "WAREHOUSE_PATH": str(self.folder / "warehouse.duckdb"),
            "PUBLISHED_PATH": str(self.folder / "published.duckdb"),
            "DBT_PROJECT_DIR": str(ROOT / "dbt_project"),
            "DBT_TARGET_PATH": str(self.folder / "target"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.day", *keys],
            env=os.environ | variables,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found

    def compact(self) -> float:
        """Merge the files with the mock Airbyte's code, and return the seconds by the clock."""
        began = time.perf_counter()
        with connect("2GB", None, self.folder / "spill") as connection:
            for folder in sorted((self.folder / "lake").iterdir()):
                known = {file.name for file in folder.glob("*.parquet")}
                compact(connection, folder, known, folder / ".new.tmp", lambda: None)
        return time.perf_counter() - began

    def _shifted(self, name: str, days: int, times: int, where: str = "") -> None:
        """Write January's weather and its flights, each `times` times under different numbers, as one sync."""
        for stream in ("flights", "weather"):
            flight = f"flight + {HIGHEST} * unnest(range({times})) as flight," if stream == "flights" else ""
            rows = f"""
                select * replace ({flight}
                    year(date)::bigint as year, month(date)::bigint as month, day(date)::bigint as day,
                    time_hour + to_days({days}) as time_hour
                )
                from (
                    select *, make_date(year, month, day) + to_days({days}) as date
                    from read_csv('{LANDING / stream}/*', nullstr = ['', 'NA']) {where}
                )
            """
            self._write(stream, rows, days, name)

    def _write(self, stream: str, rows: str, days: int, name: str) -> None:
        """Write rows in the format of Airbyte's destination. Rows with a date come from a file of that date."""
        # A new day is extracted now, because row counts are only taken for loads of the last hour.
        extracted = "now()" if self.days else f"timestamptz '2013-02-01 00:00:00+00' + to_days({days})"
        key = f"'inbound/{stream}/' || " + ("date::date" if stream not in SMALL else "'all'")
        query = f"""
            select {"* exclude (date)" if stream not in SMALL else "*"},
                uuid()::varchar as _airbyte_raw_id, {extracted} as _airbyte_extracted_at,
                '{{"sync_id": 1, "changes": []}}' as _airbyte_meta, 0::bigint as _airbyte_generation_id,
                {key} || '.csv.gz' as _ab_source_file_url,
                {extracted} as _ab_source_file_last_modified
            from ({rows})
        """
        file = self.folder / "lake" / stream / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
            connection.execute(f"copy ({query}) to '{file}' (format parquet)")


def figures(rows: Sequence[int], rounds: int, folder: Path) -> list[Figure]:
    """Measure all histories and the month in turn, so that other work on the machine affects all of them."""
    platforms = [Platform(folder / f"{each}-rows", each) for each in (MONTH, *(each for each in rows if each > MONTH))]
    measured: dict[Platform, list[dict[str, float]]] = {each: [] for each in platforms}
    for platform in measured:
        platform.compact()
        platform.build()
    for round_ in range(min(rounds, DAYS - 1) + 1):
        for platform, builds in measured.items():
            built = platform.build(platform.day())
            if round_:  # skip the first day: it is the first incremental build, and parses the project again
                builds.append(built)
    month, *histories = platforms
    found = []
    for key, (name, unit) in FIGURES.items():
        floor = median(built[key] for built in measured[month])
        for each in histories or [month]:
            ours = median(built[key] for built in measured[each])
            found.append(figure(name, ours, floor, unit, rounds, each.rows))
    return found

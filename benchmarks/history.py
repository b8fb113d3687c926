"""What a day of flights costs with a long history behind it, beside the same day with one month behind it.

It makes two lakes of the sample's January, shifted into the past, builds both whole, and then loads day after day into
each. A process of its own does with each day what `full_pipeline` does once the sync has ended: it looks whether the
files have arrived, builds and tests, publishes, counts, and asks for freshness. It starts no Prefect. The figures are
medians: `ours` with the history, `floor` with the month.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.figures import ROOT, Figure, figure

LANDING = ROOT / "localstack" / "landing"
MONTH, DAYS = 27_004, 31
MOST_FILES = 400
"""Of a stream; a longer history has several months in each, as `make compact` would leave them."""
SMALL = ("airlines", "airports", "planes")
DAY = """
import json, re, resource, time
from datetime import UTC, datetime, timedelta
from pathlib import Path

SINCE = datetime.now(UTC) - timedelta(minutes=1)

def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

from blocks import connections
began, found = time.time() - time.process_time(), {}
warehouse, dbt = connections.warehouse(None), connections.dbt(None, lambda line: None)

def step(name, work):
    before = used()
    work()
    found[name] = used() - before

step("arrived", lambda: warehouse.arrived(KEYS, SINCE))
step("dbt", lambda: dbt.run("build"))
step("published", warehouse.publish)
step("counted", lambda: (warehouse.published_tables(), warehouse.synced({1: SINCE})))
step("fresh", dbt.freshness)
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps({"day": used(), "clock": time.time() - began, "memory": int(peak) / 1024, **found}))
"""
"""What `full_pipeline` does with a day's files once the sync has ended, without Prefect; it tells what each costs."""
FIGURES = {
    "day": ("a day from raw to the readers, processor time", "s"),
    "clock": ("a day from raw to the readers, by the clock", "s"),
    "memory": ("a day's memory", "MiB"),
    "dbt": ("of it dbt build with all tests, processor time", "s"),
    "published": ("of it publication, processor time", "s"),
}


class Platform:
    """A lake of so many months, and its warehouse."""

    def __init__(self, folder: Path, months: int) -> None:
        self.folder, self.months, self.days = folder, months, 0
        for stream in SMALL:
            self._write(stream, f"from read_csv('{LANDING / stream}/*', nullstr = ['', 'NA'])", 0, stream)
        for first in range(0, months, together := 1 + months // MOST_FILES):
            self._shifted(f"month-{first:05}", [-DAYS * each for each in range(first, min(first + together, months))])

    def day(self) -> list[str]:
        """Load the next day's files, which continue the history; return their keys."""
        self.days += 1
        self._shifted(f"new-{self.days:03}", [DAYS], f"where day = {self.days}")
        return [f"inbound/{stream}/2013-02-{self.days:02}.csv.gz" for stream in ("flights", "weather")]

    def build(self, keys: Sequence[str] = ()) -> dict[str, float]:
        """Build, publish and check what has been loaded; what the steps cost, by the names of `FIGURES`."""
        variables = {
            "LAKE_DIR": str(self.folder / "lake"),
            "WAREHOUSE_PATH": str(self.folder / "warehouse.duckdb"),
            "PUBLISHED_PATH": str(self.folder / "published.duckdb"),
            "DBT_PROJECT_DIR": str(ROOT / "dbt_project"),
            "DBT_TARGET_PATH": str(self.folder / "target"),
        }
        script = f"KEYS = {list(keys)!r}\n{DAY}"
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | variables,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found

    def _shifted(self, name: str, shifts: Sequence[int], where: str = "") -> None:
        """Write the flights and the weather of January, so many days later each time, as one sync."""
        for stream in ("flights", "weather"):
            rows = f"""
                select * exclude (shift) replace (
                    year(date)::bigint as year, month(date)::bigint as month, day(date)::bigint as day,
                    time_hour + to_days(shift) as time_hour
                )
                from (
                    select *, make_date(year, month, day) + to_days(shift) as date
                    from read_csv('{LANDING / stream}/*', nullstr = ['', 'NA']), unnest({list(shifts)}) as t(shift)
                    {where}
                )
            """
            self._write(stream, rows, shifts[0], name)

    def _write(self, stream: str, rows: str, days: int, name: str) -> None:
        """Write rows as Airbyte's destination does; rows with a date come from a file of that date."""
        # A new day is loaded now, so that the row counts of the last hour are taken.
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
    """Measure all histories and the month by turns, so that other work on the machine falls on each."""
    months = [max(1, round(each / MONTH)) for each in rows]
    platforms = [Platform(folder / f"{each}-months", each) for each in (1, *(each for each in months if each > 1))]
    measured: dict[Platform, list[dict[str, float]]] = {each: [] for each in platforms}
    for platform in measured:
        platform.build()
    for round_ in range(min(rounds, DAYS - 1) + 1):
        for platform, builds in measured.items():
            built = platform.build(platform.day())
            if round_:  # the first day is the first that is built incrementally, and parses the project once more
                builds.append(built)
    month, *histories = platforms
    found = []
    for key, (name, unit) in FIGURES.items():
        floor = median(built[key] for built in measured[month])
        for each in histories or [month]:
            ours = median(built[key] for built in measured[each])
            found.append(figure(name, ours, floor, unit, rounds, each.months * MONTH))
    return found

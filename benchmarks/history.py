"""What a day of flights costs with a long history behind it, beside the same day with one month behind it.

It makes two lakes of the sample's January, shifted into the past, builds both whole, and then loads day after day into
each. Every day is one `dbt build` without unit tests in a process of its own. Printed, and written as one object a
figure, are the median processor time and the most memory: `ours` with the history, `floor` with the month.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TypedDict

import duckdb

ROOT = Path(__file__).resolve().parent.parent
LANDING = ROOT / "localstack" / "landing"
LATEST = ROOT / "data" / "bench" / "latest.json"
MONTH, DAYS = 27_004, 31
SMALL = ("airlines", "airports", "planes")
BUILD = """
import json, re, resource, sys
from pathlib import Path
from dbt.cli.main import dbtRunner
project = sys.argv[1]
result = dbtRunner().invoke([
    "--quiet", "--log-level-file", "none", "build", "--exclude-resource-type", "unit_test",
    "--project-dir", project, "--profiles-dir", project,
])
if not result.success:
    sys.exit(f"dbt build failed: {result.exception or [each.node.name for each in result.result if each.failures]}")
used = resource.getrusage(resource.RUSAGE_SELF)
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps([used.ru_utime + used.ru_stime, int(peak) / 1024]))
"""
"""A build that tells its processor seconds and the most memory that it held, in MiB."""


class Figure(TypedDict):
    """One line of the benchmark; `rows` is the length of the history."""

    name: str
    ours: float
    floor: float
    ratio: float
    unit: str
    rounds: int
    rows: int


class Platform:
    """A lake of so many months, and its warehouse."""

    def __init__(self, folder: Path, months: int) -> None:
        self.folder, self.days = folder, 0
        for stream in SMALL:
            self._write(stream, f"from read_csv('{LANDING / stream}/*', nullstr = ['', 'NA'])", 0, stream)
        for month in range(months):
            self._shifted(f"month-{month:05}", -DAYS * month)

    def day(self) -> None:
        """Load the next day's files, which continue the history."""
        self.days += 1
        self._shifted(f"new-{self.days:03}", DAYS, f"where day = {self.days}")

    def build(self) -> tuple[float, float]:
        """Run `dbt build`; its processor seconds and the most memory in MiB."""
        variables = {
            "LAKE_DIR": str(self.folder / "lake"),
            "WAREHOUSE_PATH": str(self.folder / "warehouse.duckdb"),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "FRESHNESS_THRESHOLD_HOURS": "24",
        }
        command = [sys.executable, "-c", BUILD, str(ROOT / "dbt_project")]
        done = subprocess.run(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True, check=True)
        seconds, peak = json.loads(done.stdout.splitlines()[-1])
        return seconds, peak

    def _shifted(self, name: str, days: int, where: str = "") -> None:
        """Write the flights and the weather of January, so many days later, as one sync."""
        for stream in ("flights", "weather"):
            rows = f"""
                select * replace (
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
        """Write rows as Airbyte's destination does; rows with a date come from a file of that date."""
        extracted = f"timestamptz '2013-02-01 00:00:00+00' + to_days({days}) + to_hours({self.days})"
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


def figures(months: int, rounds: int, folder: Path) -> list[Figure]:
    """Measure both platforms by turns, so that other work on the machine falls on both."""
    floor, ours = Platform(folder / "month", 1), Platform(folder / "history", months)
    measured: dict[Platform, list[tuple[float, float]]] = {floor: [], ours: []}
    for platform in measured:
        platform.build()
    for round_ in range(rounds + 1):
        for platform, builds in measured.items():
            platform.day()
            built = platform.build()
            if round_:  # the first day is the first that is built incrementally, and parses the project once more
                builds.append(built)
    found: list[Figure] = []
    for number, (name, unit) in enumerate((("a day's processor time", "s"), ("a day's memory", "MiB"))):
        mine, least = (median(built[number] for built in measured[each]) for each in (ours, floor))
        found.append(
            {
                "name": name,
                "ours": round(mine, 2),
                "floor": round(least, 2),
                "ratio": round(mine / least, 2),
                "unit": unit,
                "rounds": rounds,
                "rows": months * MONTH,
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="flights in the history (default: 10000000)")
    parser.add_argument("--rounds", type=int, default=3, help="days that are measured, 30 at most (default: 3)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-history-") as folder:
        found = figures(max(1, round(arguments.rows / MONTH)), min(arguments.rounds, DAYS - 1), Path(folder))
    for each in found:
        print(
            f"{each['name']}: {each['ours']:g} {each['unit']} with {each['rows']:,} rows, "
            f"{each['floor']:g} {each['unit']} with {MONTH:,}: {each['ratio']:.2f} times",
        )
    LATEST.parent.mkdir(parents=True, exist_ok=True)
    LATEST.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Measure what a day of flights costs with one Parquet file for each object in raw, and with raw compacted."""

import shutil
import time
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.figures import Figure, figure
from benchmarks.history import MONTH, SMALL, Platform
from blocks import lake

MONTHS = 17
"""Two streams with a file a day for this long make more than 1,000 files."""
FIGURES = {
    "files": ("Parquet files in raw", "files"),
    "opened": ("whether an old file has arrived, processor time", "s"),
    "clock": ("a day from raw to the readers, by the clock", "s"),
    "day": ("the same, processor time", "s"),
}


class SmallFiles(Platform):
    """A lake whose history has one Parquet file for each object, which is what many syncs produce."""

    def _write(self, stream: str, rows: str, days: int, name: str) -> None:
        super()._write(stream, rows, days, name)
        if stream in SMALL or self.days:
            return
        month = self.folder / "lake" / stream / f"{name}.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"create table month as from '{month}'")
            month.unlink()
            keys = connection.execute("select distinct _ab_source_file_url from month order by 1").fetchall()
            for number, (key,) in enumerate(keys):
                file = month.with_stem(f"{name}-{number:02}")
                connection.execute(f"copy (from month where _ab_source_file_url = '{key}') to '{file}'")

    def opened(self) -> float:
        """Look for a file that is not among the newest; return the processor time in seconds."""
        before = time.process_time()
        assert lake.arrived(self.folder / "lake", ["inbound/flights/2013-01-31.csv.gz"])
        return time.process_time() - before

    def files(self) -> list[Path]:
        """Return the Parquet files of raw."""
        return sorted(self.folder.glob("lake/*/*.parquet"))


def figures(rounds: int, folder: Path) -> list[Figure]:
    """Measure many small files and few large ones in turn. The floor is the cost of the large ones."""
    many = SmallFiles(folder / "many", MONTHS * MONTH)
    many.build()
    shutil.copytree(many.folder, folder / "few")
    (few := copy(many)).folder = folder / "few"
    print(f"compacted {len(few.files())} files in {few.compact():.1f} s")
    assert len(few.files()) < len(many.files())
    measured: dict[str, list[dict[str, float]]] = {"many": [], "few": []}
    counts = {"many": len(many.files()), "few": len(few.files())}
    for round_ in range(rounds + 1):
        for name, each in (("many", many), ("few", few)):
            built = {"opened": each.opened(), **each.build(each.day()), "files": counts[name]}
            if round_:  # skip the first day, which is the first incremental build
                measured[name].append(built)
    return [
        figure(name, *(_median(measured[which], key) for which in ("many", "few")), unit, rounds, MONTHS * MONTH)
        for key, (name, unit) in FIGURES.items()
    ]


def _median(measured: Sequence[dict[str, float]], key: str) -> float:
    return median(each[key] for each in measured)

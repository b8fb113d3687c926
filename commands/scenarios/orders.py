"""The orders that scenarios land, and the reconciliation that checks every row of them."""

import csv
import gzip
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from services.testing.running import Running

STREAM = "orders"
COLUMNS = "order_id,ordered_on,region,note,amount"
REGIONS = ("north", "east", "south", "west")
MARK = "scenario-"
"""Prefix of the names of the files that scenarios land."""
FIRST = 10_000
"""The first order number of scenarios. The orders that exist before any scenario have lower numbers."""
MOST_NAMED = 5

Key: TypeAlias = int
"""An order's number. Each row that a scenario lands has its own."""
Value: TypeAlias = tuple[str, str, Decimal]
"""The values that distinguish the versions of an order: its note, region and amount."""


@dataclass(frozen=True)
class Orders:
    """A file of orders: `count` rows with numbers from `first` on, all from one day of February 2026."""

    name: str
    first: int
    count: int
    day: int = 1
    amount: int = 0
    note: str = "gift"
    region: str = REGIONS[0]

    @property
    def numbers(self) -> range:
        """The numbers of the orders."""
        return range(self.first, self.first + self.count)

    @property
    def text(self) -> str:
        """The file as CSV."""
        rows = (f"{number},2026-02-{self.day:02},{self.region},{self.note},{self.amount}.00" for number in self.numbers)
        return "\n".join([COLUMNS, *rows, ""])

    @property
    def content(self) -> bytes:
        """The file as it is landed, gzipped."""
        return gzip.compress(self.text.encode(), mtime=0)

    def changed(self, **fields: Any) -> "Orders":
        """Return the same orders with other values."""
        return replace(self, **fields)


@dataclass(frozen=True)
class FirstOrders(Orders):
    """The file that the source was made from: orders of many days, from all regions, some without a note."""

    @property
    def text(self) -> str:
        """The file as CSV."""
        rows = (
            f"{number},{date(2026, 1, 1) + timedelta(number % 31)},{REGIONS[number % len(REGIONS)]},"
            f"{self.note if number % 3 else ''},{number % 20}.99"
            for number in self.numbers
        )
        return "\n".join([COLUMNS, *rows, ""])


FIRST_FILE = FirstOrders("orders-2026-01.csv.gz", 1, 200)


@dataclass
class Account:
    """Where the landed rows of scenarios are: the number in each place, and the problems."""

    landed: int = 0
    raw: int = 0
    marts: int = 0
    published: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_correct(self) -> bool:
        """Return whether each landed row is in raw, in the marts and in the published tables, exactly once."""
        return not self.problems

    def __str__(self) -> str:
        figures = (
            f"{self.landed:,} rows landed, {self.raw:,} in raw, {self.marts:,} in marts, {self.published:,} published"
        )
        return f"{figures}; {'; '.join(self.problems) or '0 lost, 0 doubled'}"


def reconcile(platform: Running) -> Account:
    """Compare landing, raw, marts and published tables row by row, for the files that scenarios landed.

    An order is correct if its values are those of the newest file that has it.
    """
    landed = _landed(platform)
    places: dict[str, list[tuple[Key, Value]]] = {
        "marts": _table(platform.built(_IN_MARTS)),
        "published": _table(platform.rows(_IN_MARTS)),
    }
    # Compare by content, since a file that is delivered again unchanged is not loaded again.
    loaded = [tuple(map(str, row)) for row in platform.raw(_in_raw(platform))]
    in_raw = {int(key) for key, *_ in loaded}
    account = Account(len(landed), len(in_raw), len(places["marts"]), len(places["published"]))
    account.problems += _problem("lost on the way to raw", set(landed) - in_raw)
    account.problems += _problem("doubled in raw", _duplicates(loaded))
    for place, rows in places.items():
        keys = [key for key, _ in rows]
        account.problems += _problem(f"lost in {place}", set(landed) - set(keys))
        account.problems += _problem(f"doubled in {place}", _duplicates(keys))
        account.problems += _problem(f"in {place}, although no file has it", set(keys) - set(landed))
        account.problems += _problem(
            f"old or wrong in {place}", {key for key, value in rows if key in landed and value not in landed[key]}
        )
    return account


_IN_MARTS = f"select order_id, note, region, amount from {STREAM} where order_id >= {FIRST}"


def _in_raw(platform: Running) -> str:
    files = f"read_parquet('{platform.lake}/{STREAM}/*.parquet', union_by_name=true)"
    return f"select order_id, _ab_source_file_url, note, region, amount from {files} where order_id::bigint >= {FIRST}"


def _table(rows: list[tuple[object, ...]]) -> list[tuple[Key, Value]]:
    return [(int(str(number)), (str(note), str(region), Decimal(str(amount)))) for number, note, region, amount in rows]


def _landed(platform: Running) -> dict[Key, set[Value]]:
    """Return each order of the files in the bucket, with its values in the newest file.

    S3 dates objects to the second, so of two files in the same second, either may be the newest.
    """
    versions: dict[Key, list[tuple[datetime, Value]]] = defaultdict(list)
    s3 = platform.s3()
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=platform.bucket, Prefix=f"{platform.prefix}{STREAM}/{MARK}"
    ):
        for each in page.get("Contents", []):
            body = s3.get_object(Bucket=platform.bucket, Key=each["Key"])["Body"].read()
            text = (gzip.decompress(body) if each["Key"].endswith(".gz") else body).decode()
            for row in csv.DictReader(io.StringIO(text)):
                value = (row.get("note") or "None", row["region"], Decimal(row["amount"]))
                versions[int(row["order_id"])].append((each["LastModified"], value))
    newest = {key: max(date for date, _ in found) for key, found in versions.items()}
    return {key: {value for date, value in found if date == newest[key]} for key, found in versions.items()}


def _duplicates(values: Iterable[object]) -> set[object]:
    return {value for value, count in Counter(values).items() if count > 1}


def _problem(what: str, keys: set[object] | set[int]) -> list[str]:
    """Return a sentence about some rows, or no sentence if there are none."""
    if not keys:
        return []
    shown = ", ".join(map(str, sorted(keys, key=str)[:MOST_NAMED]))
    return [f"{len(keys):,} {what}: {shown}{' …' if len(keys) > MOST_NAMED else ''}"]

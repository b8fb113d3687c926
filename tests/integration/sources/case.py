"""A file, the type that each column should have, and the cells as another reader than the platform's reads them."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import parquet

Cell = Callable[[Any], Any]


def text(value: str | None) -> str | None:
    """A cell of text; CSV does not tell an empty one from none."""
    return value or None


def number(value: str) -> int | None:
    return int(value) if value else None


def decimal(value: str) -> Decimal | None:
    return Decimal(value) if value else None


def written(thousands: str, point: str) -> Cell:
    """A decimal with other marks than Python's."""
    marks = str.maketrans({thousands: None, point: "."} if thousands else {point: "."})
    return lambda value: decimal(value.translate(marks))


def day(form: str) -> Cell:
    return lambda value: time(form)(value).date() if value else None


def time(form: str) -> Cell:
    return lambda value: datetime.strptime(value, form) if value else None  # noqa: DTZ007 - as the file has it


def unless(nulls: tuple[str, ...], cell: Cell) -> Cell:
    return lambda value: None if value in nulls else cell(value)


def truth(yes: str) -> Cell:
    return lambda value: value.lower() == yes if value else None


@dataclass(frozen=True)
class Case:
    """A file, the type that each of its columns should have, and the Python value of each cell."""

    name: str
    content: bytes
    types: Mapping[str, str]
    rows: list[tuple[Any, ...]]
    key: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    mart: str = ""


def of_csv(
    name: str,
    content: str,
    columns: Mapping[str, tuple[str, Cell]],
    encoding: str = "utf-8",
    skip: int = 0,
    header: bool = True,
    **options: Any,
) -> Case:
    """A CSV file, read by Python's own reader. `columns` has the type and the reader of each column in its order."""
    csv.field_size_limit(2**24)
    dialect = {each: options.pop(each) for each in ("delimiter", "quotechar", "escapechar") if each in options}
    lines = content.split("\n", skip)[skip]
    found = list(csv.reader(io.StringIO(lines, newline=""), **dialect))[1 if header else 0 :]
    rows = [tuple(cell(value) for (_, cell), value in zip(columns.values(), row, strict=True)) for row in found if row]
    data = content.encode(encoding)
    types = {column: type_ for column, (type_, _) in columns.items()}
    return Case(name, gzip.compress(data) if name.endswith(".gz") else data, types, rows, **options)


def of_jsonl(name: str, values: list[dict[str, Any]], types: Mapping[str, str], **options: Any) -> Case:
    """A file of JSON Lines, read by Python's own reader."""
    data = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in values).encode()
    rows = [tuple(each.get(name.rstrip("_")) for name in types) for each in values]
    return Case(name, gzip.compress(data) if name.endswith(".gz") else data, types, rows, **options)


def of_parquet(name: str, table: pa.Table, types: Mapping[str, str], **options: Any) -> Case:
    """A Parquet file, read by pyarrow."""
    out = io.BytesIO()
    parquet.write_table(table, out)
    rows = [tuple(row.values()) for row in parquet.read_table(io.BytesIO(out.getvalue())).to_pylist()]
    return Case(name, out.getvalue(), types, rows, **options)


def lines(header: str, row: Callable[[int], str], count: int = 40) -> str:
    return f"{header}\n" + "".join(f"{row(at)}\n" for at in range(1, count + 1))

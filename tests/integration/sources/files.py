"""Files as people have them, and what each of their cells is by another reader than the platform's."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
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


def wide() -> Case:
    """A thousand columns, three types by turns."""
    kinds = [("bigint", number), ("varchar", text), ("decimal(18,1)", decimal)]
    header = ",".join(f"c{at}" for at in range(1000))
    row = lambda n: ",".join([str(n), "x", "0.5"][at % 3] if at else str(n) for at in range(1000))  # noqa: E731
    return of_csv("wide.csv", lines(header, row, 5), {f"c{at}": kinds[at % 3] for at in range(1000)}, key=("c0",))


ORDINAL = date(2013, 1, 1).toordinal()
ZONED = datetime(2013, 1, 1, 10, tzinfo=UTC)
CASES = {
    "compact_dates": of_csv(
        "compact_dates.csv",
        lines("date,code,level", lambda n: f"{date.fromordinal(ORDINAL + n):%Y%m%d},201301{n % 28 + 1:02},{n}.5"),
        {"date": ("date", day("%Y%m%d")), "code": ("bigint", number), "level": ("decimal(18,1)", decimal)},
        key=("date",),
        said=("YYYYMMDD",),
    ),
    "spaces": of_csv(
        "spaces.txt",
        lines("Chins Situps Jumps", lambda n: f"{n % 30} {n * 10} {n}.5"),
        {"chins": ("bigint", number), "situps": ("bigint", number), "jumps": ("decimal(18,1)", decimal)},
        delimiter=" ",
    ),
    "spaces_no_header": of_csv(
        "spaces_no_header.txt",
        lines("0 0 0.5", lambda n: f"{n} {n % 3} {n}.5"),
        {"f0": ("bigint", number), "f1": ("bigint", number), "f2": ("decimal(18,1)", decimal)},
        delimiter=" ",
        header=False,
        key=("f0",),
        said=("No header line was found",),
    ),
    "full_names": of_csv(
        "full_names.csv",
        lines("full name", lambda n: f"Ada Nr{n}"),
        {"full_name": ("varchar", text)},
    ),
    "plain": of_csv(
        "plain.csv",
        lines(
            "id,zip,phone,big,price,day,at,ratio,postcode",
            lambda n: (
                f"{n},0{n:04},+49 30 {n:06},{10**19 + n},{n}.50,2013-01-{n % 28 + 1:02},"
                f"2013-01-01 10:{n % 60:02}:00,{n / 7!r},{10_000 + n}"
            ),
        ),
        {
            "id": ("bigint", number),
            "zip": ("varchar", text),
            "phone": ("varchar", text),
            "big": ("varchar", text),
            "price": ("decimal(18,2)", decimal),
            "day": ("date", day("%Y-%m-%d")),
            "at_": ("timestamp", time("%Y-%m-%d %H:%M:%S")),
            "ratio": ("double", float),
            "postcode": ("varchar", text),
        },
        key=("id",),
        said=("stays text",),
        mart="plain_by_day",
    ),
    "german": of_csv(
        "Umsätze 2013.csv",
        lines("Nr;Größe;Datum;Preis", lambda n: f"{n};größer {n};{n % 28 + 1:02}.12.2013;{n},50"),
        {
            "nr": ("bigint", number),
            "grosse": ("varchar", text),
            "datum": ("date", day("%d.%m.%Y")),
            "preis": ("decimal(18,2)", written("", ",")),
        },
        encoding="cp1252",
        delimiter=";",
        key=("nr",),
        said=("cp1252", "1234,56"),
    ),
    "marks": of_csv(
        "marks.csv",
        lines(
            "id;us;eu;fr;ch;people;either;code",
            lambda n: f"{n};{n},234.5;{'-' if n == 3 else ''}{n}.234,56;{'' if n == 5 else f'{n} 000,5'};{n}'234.25;"
            f"{n * 10**6:,};{n},234;732 829 3{n:02}",
        ),
        {
            "id": ("bigint", number),
            "us": ("decimal(18,1)", written(",", ".")),
            "eu": ("decimal(18,2)", written(".", ",")),
            "fr": ("decimal(18,1)", written(" ", ",")),
            "ch": ("decimal(18,2)", written("'", ".")),
            "people": ("bigint", lambda value: int(value.replace(",", ""))),
            "either": ("varchar", text),
            "code": ("varchar", text),
        },
        delimiter=";",
        key=("id",),
        said=("stays text: its numbers can be read as 1,234.56 and as 1234,56", "1'234.56"),
    ),
    "nearly": of_csv(
        "nearly.csv",
        lines(
            "id,day,at,mass,medal,clock,fine",
            lambda n: f"{n},2013-02-{30 if n == 7 else n % 28 + 1:02},2013-01-01 {24 if n == 7 else n % 24:02}:00:00,"
            f"{'[98]' if n == 4 else f'{n}.5'}, 'gold',0{n % 10}:30,2013-01-01 10:00:00.{n:09}",
        ),
        {
            "id": ("bigint", number),
            **dict.fromkeys(("day", "at_", "mass", "medal", "clock", "fine"), ("varchar", text)),
        },
        key=("id",),
        said=(
            "values are dates, and '2013-02-30' is not",
            "values are times, and '2013-01-01 24:00:00' is not",
            "values are numbers, and '[98]' is not",
            "values begin with a space and a quotation mark",
            "look like a time of day",
            "look like a time with more than six decimals of a second",
        ),
    ),
    "tabs": of_csv(
        "notes.tsv",
        "id\tnote\tempty\n" + f'1\t"a\nb"\t\n2\t"say ""hi"""\t\n3\t{"x" * 1_000_000}\t\n4\t  padded \t\n5\t\t\n',
        {"id": ("bigint", number), "note": ("varchar", text), "empty": ("varchar", text)},
        delimiter="\t",
        key=("id",),
        said=("has no value",),
    ),
    "pipes": of_csv(
        "pipes.txt",
        lines("id|name", lambda n: f"{n}|'a | {n}'"),
        {"id": ("bigint", number), "name": ("varchar", text)},
        delimiter="|",
        quotechar="'",
        key=("id",),
    ),
    "utf16": of_csv(
        "utf16.csv",
        lines("id,name", lambda n: f"{n},蟻 {n}"),
        {"id": ("bigint", number), "name": ("varchar", text)},
        encoding="utf-16",
        key=("id",),
    ),
    "american": of_csv(
        "american.csv.gz",
        lines("id,opened,closed", lambda n: f"{n},{n % 12 + 1}/{n % 28 + 1}/2013,12/{n % 31 + 1:02}/2013 0{n % 9 + 1}:05:00 PM"),  # noqa: E501
        {
            "id": ("bigint", number),
            "opened": ("date", day("%m/%d/%Y")),
            "closed": ("timestamp", time("%m/%d/%Y %I:%M:%S %p")),
        },
        key=("id",),
        said=("MM/DD/YYYY",),
    ),
    "ambiguous": of_csv(
        "ambiguous.csv",
        lines("id,day,short", lambda n: f"{n},0{n % 9 + 1}/02/2013,31/12/{n % 90 + 10}"),
        {"id": ("bigint", number), "day": ("varchar", text), "short": ("varchar", text)},
        key=("id",),
        said=("DD/MM/YYYY and as MM/DD/YYYY", "a two-digit year"),
    ),
    "spelled": of_csv(
        "spelled.csv",
        lines(
            "id,active,seen,score,region",
            lambda n: ",".join(
                [str(n), "Yes" if n % 2 else "No", "2013-02-03" if n % 5 else "N/A", str(n) if n % 7 else "NULL", "NA"]
            ),
        ),
        {
            "id": ("bigint", number),
            "active": ("boolean", truth("yes")),
            "seen": ("date", unless(("N/A",), day("%Y-%m-%d"))),
            "score": ("bigint", unless(("NULL",), number)),
            "region": ("varchar", text),
        },
        key=("id",),
        said=("spelled No and Yes", "'N/A' (8)", "'NULL' (5)", "stay text"),
    ),
    "names": of_csv(
        "hostile names.csv",
        lines(
            'Order ID,a.b,a-b,"say ""x""",select,{{ x }},größe,名前,2013,date,user,Total',
            lambda n: ",".join([str(n), *(f"{letter}{n}" for letter in "abcdefghij"), f"{n}.5"]),
        ),
        {
            "order_id": ("bigint", number),
            "a_b": ("varchar", text),
            "a_b_2": ("varchar", text),
            "say_x": ("varchar", text),
            "select_": ("varchar", text),
            "x": ("varchar", text),
            "grosse": ("varchar", text),
            "column_8": ("varchar", text),
            "_2013": ("varchar", text),
            "date": ("varchar", text),
            "user": ("varchar", text),
            "total": ("decimal(18,1)", decimal),
        },
        key=("order_id",),
        said=("'a.b' and 'a-b' would both be called a_b",),
    ),
    "twice": of_csv(
        "twice.csv",
        lines(",name,name", lambda n: f"{n},a{n},b{n}"),
        {"column_1": ("bigint", number), "name": ("varchar", text), "name_2": ("varchar", text)},
        key=("column_1",),
        said=("an empty or repeated name",),
    ),
    "headless": of_csv(
        "headless.csv",
        "".join(f"{n},ant {n},{n}.25\n" for n in range(1, 30)),
        {"f0": ("bigint", number), "f1": ("varchar", text), "f2": ("decimal(18,2)", decimal)},
        header=False,
        key=("f0",),
        said=("No header line",),
    ),
    "years": of_csv(
        "world.csv",
        "Data Source,World\nLast Updated,2020\n\n"
        + lines("Country,Code,1960,1961", lambda n: f"land {n},L{n},{n}.5,", 20),
        {
            "country": ("varchar", text),
            "code": ("varchar", text),
            "_1960": ("decimal(18,1)", decimal),
            "_1961": ("varchar", text),
        },
        skip=3,
        key=("code",),
        said=("The header is in line 4",),
    ),
    "keyless": of_csv(
        "keyless.csv",
        lines("color,weight", lambda n: f"{'red' if n % 2 else 'blue'},{n % 3}.5"),
        {"color": ("varchar", text), "weight": ("decimal(18,1)", decimal)},
    ),
    "windows": of_csv(
        "windows.csv",
        "id,name\r\n1,ant\r\n2,bee\r\n",
        {"id": ("bigint", number), "name": ("varchar", text)},
        key=("id",),
    ),
    "pairs": of_csv(
        "pairs.csv",
        lines("station,hour,temp", lambda n: f"S{n % 4},2013-01-01T{n // 4:02}:00:00Z,{n}.5"),
        {
            "station": ("varchar", text),
            "hour": ("timestamptz", datetime.fromisoformat),
            "temp": ("decimal(18,1)", decimal),
        },
        key=("station", "hour"),
        mart="pairs_by_day",
    ),
    "events": of_jsonl(
        "events.jsonl",
        [
            {"id": n, "at": f"2013-01-01T10:{n:02}:00+00:00", "name": "" if n == 3 else f"ant {n}", "zip": f"0{n}",
             "score": n / 8, "ok": n % 2 == 0, "user": {"name": f"ünï {n}", "tags": ["a", {"b": n}]}, "list": [n]}
            for n in range(1, 30)
        ]
        + [{"id": 30, "at": "2013-01-01T10:30:00+00:00", "big": 2**63}],
        {"id": "bigint", "at_": "timestamptz", "name": "text", "zip": "text", "score": "double", "ok": "boolean",
         "user": "json", "list": "json", "big": "text"},
        key=("id",),
        said=("$.name", "$.tags[*].b"),
    ),
    "packed": of_jsonl(
        "packed.ndjson.gz", [{"k": f"k{n}", "v": n} for n in range(9)], {"k": "text", "v": "bigint"}, key=("k",)
    ),
    "columns": of_parquet(
        "columns.parquet",
        pa.table(
            {
                "id": pa.array(range(20), pa.int32()),
                "Net Price": pa.array([Decimal(n) / 100 for n in range(20)], pa.decimal128(12, 2)),
                "day": pa.array([date(2013, 1, 1)] * 20, pa.date32()),
                "naive": pa.array([ZONED.replace(tzinfo=None)] * 20, pa.timestamp("us")),
                "zoned": pa.array([ZONED] * 20, pa.timestamp("us", tz="UTC")),
                "ok": pa.array([None, True] * 10),
                "score": pa.array([0.1] * 20),
                "name": pa.array(["", None, *["x"] * 18]),
                "tags": pa.array([[1, 2]] * 20),
            }
        ),
        {"id": "bigint", "net_price": "decimal(12,2)", "day": "date", "naive": "timestamp", "zoned": "timestamptz",
         "ok": "boolean", "score": "double", "name": "text", "tags": "json"},
        key=("id",),
    ),
}  # fmt: skip
WIDE = wide()


@dataclass(frozen=True)
class Refusal:
    """A file that cannot become a source, and what the sentence about it must say."""

    name: str
    content: bytes
    said: tuple[str, ...]
    key: str = field(default="")


BROKEN = "id,name\n1,a\n2,b\n3,c,d\n4,e\n"
REFUSALS = [
    Refusal("broken.csv", BROKEN.encode(), ("broken.csv, line 4", "3 values", "2 columns", "remove the lines")),
    Refusal("open.csv", b'id,name\n1,a\n2,"b\n3,c\n', ("open.csv", "quote")),
    Refusal("book.xlsx", b"PK\x03\x04" + b"\0" * 50, ("book.xlsx", "Save the sheet as CSV")),
    Refusal("array.json", b'[{"id": 1}]', ("array.json", "jq -c '.[]'")),
    Refusal("page.csv", b"<!DOCTYPE html>\n<html><body>a,b</body></html>\n", ("page.csv", "HTML", "Download")),
    Refusal("empty.csv", b"", ("empty.csv", "it is empty")),
    Refusal("mixed.csv", b"id,name\n1,caf\xc3\xa9\n2,caf\xe9\n", ("mixed.csv, line 3", "two encodings", "as UTF-8")),
    Refusal("sentences.csv", b"text\nhello, world\nbye, world\n", ("sentences.csv, line 2", "2 values", "1 column")),
    Refusal("zero.csv", b"id,name\n1,a\n2,b\0c\n", ("zero.csv, line 3", "a zero byte", "Export the file again")),
    Refusal("packed.csv", gzip.compress(b"a,b\n1,2\n"), ("packed.csv", "gzip", "Rename it to packed.csv.gz")),
    Refusal("header.csv", b"a,b\n", ("header.csv", "no row")),
    Refusal("cut.csv.gz", gzip.compress(str(list(range(9999))).encode())[:-900], ("cut.csv.gz", "Export or")),
    Refusal("lines.jsonl", b'{"a": 1}\n{"a": \n', ("lines.jsonl, line 2", "jq")),
    Refusal("cut.parquet", b"PAR1" + b"x" * 40, ("cut.parquet", "Export or download it again")),
    Refusal("twice.csv", b"id,name\n1,a\n1,b\n", ("KEY=id is not unique", "1 occurs 2 times"), key="id"),
    Refusal("keys.csv", b"id,name\n1,a\n,b\n", ("KEY=id", "without a value", "1 rows"), key="id"),
    Refusal("other.csv", b"id,name\n1,a\n2,b\n", ("KEY names nr", "id, name"), key="nr"),
]  # fmt: skip

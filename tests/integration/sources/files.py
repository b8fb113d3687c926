"""Files as people have them, and what each of their cells is by another reader than the platform's."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa

from tests.integration.sources.case import (
    Case,
    day,
    decimal,
    lines,
    number,
    of_csv,
    of_jsonl,
    of_parquet,
    text,
    time,
    truth,
    unless,
    written,
)


def wide(columns: int) -> Case:
    """A file with many columns, three types by turns."""
    kinds = [("bigint", number), ("varchar", text), ("decimal(18,1)", decimal)]
    header = ",".join(f"c{at}" for at in range(columns))
    row = lambda n: ",".join([str(n), "x", "0.5"][at % 3] if at else str(n) for at in range(columns))  # noqa: E731
    return of_csv("wide.csv", lines(header, row, 5), {f"c{at}": kinds[at % 3] for at in range(columns)}, key=("c0",))


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

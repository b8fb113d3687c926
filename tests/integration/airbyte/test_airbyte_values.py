"""A value of a file is loaded exactly, or noted in `_airbyte_meta`, or its file is refused."""

import io
import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tests.integration.airbyte.mock_config import CONFIG
from tests.integration.airbyte.running_mock import Landing, Mock, Start

NULLED, CUT = "NULLED", "TRUNCATED"
TEN = 1357034400_000000000
"""10:00 on 1 January 2013 in UTC, in nanoseconds."""


def column(values: list[Any], type_: pa.DataType) -> bytes:
    parquet.write_table(pa.table({"v": pa.array(values, type_)}), buffer := io.BytesIO())
    return buffer.getvalue()


def table(columns: dict[str, pa.Array]) -> bytes:
    parquet.write_table(pa.table(list(columns.values()), names=list(columns)), buffer := io.BytesIO())
    return buffer.getvalue()


def int96(values: list[int]) -> bytes:
    column = pa.table({"v": pa.array(values, pa.timestamp("ns"))})
    parquet.write_table(column, buffer := io.BytesIO(), use_deprecated_int96_timestamps=True)
    return buffer.getvalue()


stamp = datetime.fromisoformat
LOADED: dict[str, tuple[str, bytes, list[tuple[Any, str | None]]]] = {
    "csv_nan": ("a.csv", b"v\n1.5\nnan\n-inf\n", [(1.5, None), (None, NULLED), (None, NULLED)]),
    "csv_long_ids": (
        "a.csv",
        b"v\n12345678901234567890\n12345678901234567891\n",
        [("12345678901234567890", None), ("12345678901234567891", None)],
    ),
    "csv_decimals": (
        "a.csv",
        b"v\n12345678901234567.89\n1.50\n",
        [("12345678901234567.89", None), ("1.50", None)],
    ),
    "csv_seventeen_digits": ("a.csv", b"v\n-72.886806000000007\n0.5\n", [(-72.886806000000007, None), (0.5, None)]),
    "jsonl_decimals": (
        "a.jsonl",
        b'{"v": 12345678901234567.89}\n{"v": 0.1}\n',
        [("12345678901234567.89", None), ("0.1", None)],
    ),
    "jsonl_long_ids": ("a.jsonl", b'{"v": 18446744073709551615}\n', [("18446744073709551615", None)]),
    "jsonl_nested": (
        "a.jsonl",
        b'{"v": {"n": [1.0000000000000000001]}}\n',
        [('{"n":["1.0000000000000000001"]}', None)],
    ),
    "csv_spaces": ("a.csv", b"id, v \n1,ant\n", [("ant", None)]),
    "jsonl_huge": ("a.jsonl", b'{"v": 1.5}\n{"v": 1e999}\n', [(1.5, None), (None, NULLED)]),
    "nan": ("a.parquet", column([1.5, float("nan")], pa.float64()), [(1.5, None), (None, NULLED)]),
    "float_inf": ("a.parquet", column([0.5, float("inf")], pa.float32()), [(0.5, None), (None, NULLED)]),
    "decimals": (
        "a.parquet",
        column([Decimal("12345678901234567.89")], pa.decimal128(19, 2)),
        [("12345678901234567.89", None)],
    ),
    "binary": ("a.parquet", column(["é".encode(), b"", None], pa.binary()), [("é", None), ("", None), (None, None)]),
    "nanoseconds": (
        "a.parquet",
        column([TEN + 999, TEN, -1], pa.timestamp("ns")),
        [
            (stamp("2013-01-01T10:00"), CUT),
            (stamp("2013-01-01T10:00"), None),
            (stamp("1969-12-31T23:59:59.999999"), CUT),
        ],
    ),
    "zoned_nanoseconds": (
        "a.parquet",
        column([TEN], pa.timestamp("ns", "UTC")),
        [(stamp("2013-01-01T10:00Z"), None)],
    ),
    "last_nanoseconds": (
        "a.parquet",
        column([2**63 - 1, -(2**63) + 1, None], pa.timestamp("ns")),
        [
            (stamp("2262-04-11T23:47:16.854775"), CUT),
            (stamp("1677-09-21T00:12:43.145224"), CUT),
            (None, None),
        ],
    ),
    "nested_last_nanoseconds": (
        "a.parquet",
        column([[5_000], [2**63 - 1]], pa.list_(pa.timestamp("ns"))),
        [('["1970-01-01 00:00:00.000005"]', None), ('["infinity"]', CUT)],
    ),
    "jsonl_tiny": ("a.jsonl", b'{"v": 1.5}\n{"v": 1e-400}\n', [("1.5", None), ("1e-400", None)]),
    "csv_tiny": ("a.csv", b"v\n1.5\n1e-400\n", [("1.5", None), ("1e-400", None)]),
    "csv_mixed_ends_and_a_return_in_a_value": ("a.csv", b'id,v\n1,"a\rb"\r\n2,x\n', [("a\rb", None), ("x", None)]),
    "csv_empty_columns_at_the_end": ("a.csv", b"id,v,,\n1,a,,\n2,b,,\n", [("a", None), ("b", None)]),
    "own_column_and_folder": (
        "year=2013/a.parquet",
        table({"year": pa.array([1999]), "v": pa.array([1])}),
        [(1, None)],
    ),
    "days": ("a.parquet", column([date(2013, 1, 31)], pa.date32()), [(date(2013, 1, 31), None)]),
}
LOADED |= {
    "wide_decimal": (
        "a.parquet",
        column([Decimal("1234567890123456789012345678901234567890123.45")], pa.decimal256(60, 2)),
        [(1.2345678901234568e42, CUT)],
    ),
    "int96": (
        "a.parquet",
        int96([TEN + 123456789, TEN]),
        [(stamp("2013-01-01T10:00:00.123456"), CUT), (stamp("2013-01-01T10:00"), None)],
    ),
    "nested_nan": (
        "a.parquet",
        column([[1.5], [float("nan")]], pa.list_(pa.float64())),
        [("[1.5]", None), (None, NULLED)],
    ),
    "jsonl_nested_nan": (
        "a.jsonl",
        b'{"v": {"a": "NaN"}}\n{"v": {"a": NaN}}\n',
        [('{"a":"NaN"}', None), (None, NULLED)],
    ),
}
DECLARED: dict[str, tuple[str, bytes, list[tuple[Any, str | None]]]] = {  # named by the type, and what else is special
    "number": (
        "a.csv",
        b"v\n12345678901234567.89\n0.10\n9007199254740993\n",
        [(1.2345678901234568e16, CUT), (0.1, None), (9007199254740992.0, CUT)],
    ),
    "integer": ("a.csv", b"v\n007\n1.5\n2.0\n", [(7, None), (None, NULLED), (2, None)]),
    "integer-other-base": (
        "a.csv",
        b"v\n31\n0x1F\n0b11\n-5\n",
        [(31, None), (None, NULLED), (None, NULLED), (-5, None)],
    ),
    "integer-long": ("a.csv", b"v\n9223372036854775807\n-9223372036854775808\n", [(2**63 - 1, None), (-(2**63), None)]),
    "date": (
        "a.csv",
        b"v\n2013-01-31\n2013-01-31 10:30:00\n2013-01-31 00:00:00\nepoch\n13-01-31\n0044-03-15\n",
        [
            (date(2013, 1, 31), None),
            (date(2013, 1, 31), CUT),
            (date(2013, 1, 31), None),
            (None, NULLED),
            (None, NULLED),
            (date(44, 3, 15), None),
        ],
    ),
    "timestamp_with_timezone-year": (
        "a.csv",
        b"v\n2013-01-01T10:00:00Z\nepoch\n13-01-01 10:00:00Z\n1970-01-01T00:00:00Z\n",
        [
            (stamp("2013-01-01T10:00Z"), None),
            (None, NULLED),
            (None, NULLED),
            (stamp("1970-01-01T00:00Z"), None),
        ],
    ),
    "timestamp_without_timezone": (
        "a.csv",
        b"v\n2013-01-01 10:00:00\n2013-01-01T10:00:00+05\n2013-01-01T10:00:00Z\n2013-01-01 10:00:00.1234567\n",
        [
            (stamp("2013-01-01T10:00"), None),
            (stamp("2013-01-01T10:00"), CUT),
            (stamp("2013-01-01T10:00"), None),
            (stamp("2013-01-01T10:00:00.123456"), CUT),
        ],
    ),
    "timestamp_with_timezone": (
        "a.csv",
        b"v\n2013-01-01T10:00:00.1234567Z\n2013-01-01T10:00:00.1234560Z\n",
        [(stamp("2013-01-01T10:00:00.123456Z"), CUT), (stamp("2013-01-01T10:00:00.123456Z"), None)],
    ),
    "object": (
        "a.jsonl",
        b'{"v": "5"}\n{"v": 5}\n{"v": {"n": 1.0000000000000000001}}\n',
        [('"5"', None), ("5", None), ('{"n":"1.0000000000000000001"}', None)],
    ),
}
LOADED |= DECLARED
REFUSED: dict[str, tuple[str, bytes, dict[str, str] | None, str]] = {
    "nested_binary": ("a.parquet", column([[b"x"]], pa.list_(pa.binary())), None, "has nested binary values"),
    "name_by_case": (
        "a.parquet",
        table({"v": pa.array([1]), "V": pa.array([2])}),
        None,
        "names columns 'v' and 'V', and case does not count",
    ),
    "no_name": ("a.parquet", table({"": pa.array([1])}), None, "has no name"),
    "case_of_a_key": ("a.jsonl", b'{"v": 1}\n{"V": 1}\n', None, "line 2: the file names one column 'v' and 'V'"),
    "spelt_otherwise": ("a.csv", b"id,ID\n1,2\n", None, "names columns 'id' and 'ID'"),
    "index": (
        "a.csv",
        b",v\n0,1\n",
        None,
        "column 1 of the header has no name. Name it in the file, or in the stream's format",
    ),
    "value_without_a_column": (
        "a.csv",
        b"id,v,\n1,a,\n2,b,c\n",
        None,
        "line 3: the row has a value after the last column",
    ),
    "first_line_empty": (
        "a.csv",
        b"\nid,v\n1,a\n",
        None,
        "line 1: the first line is empty. Set the stream's format.skip_rows",
    ),
    "rows_of_json": ("a.csv", b"[1,2,3]\n[4,5,6]\n", None, "{filetype: jsonl}"),
    "objects_without_a_field": ("a.jsonl", b"{}\n{}\n", None, "all its objects are empty"),
    "several_lines": ("a.jsonl", b'{\n  "v": 1\n}\n', None, "JSON Lines has one object per line. `jq -c .`"),
    "array": (
        "a.jsonl",
        b'[{"v": 1}]\n',
        None,
        "line 1: the line is JSON, but not an object. JSON Lines has one object",
    ),
    "csv_called_parquet": ("a.parquet", b"id,v\n1,a\n", None, "not a Parquet file. Rename the key with the suffix"),
    "far_away": ("a.parquet", column([2**62], pa.timestamp("ms")), None, "outside the range of 64-bit microseconds"),
    "half_parquet": (
        "a.parquet",
        column(list(range(9)), pa.int64())[:-9],
        None,
        "Parquet file is broken or incomplete",
    ),
    "key_twice": ("a.jsonl", b'{"w": {"v": 1}}\n{"v": 1, "v": 2}\n', None, "line 2: the object has the key 'v' twice"),
    "nul": ("a.csv", "id,v\n1,2\n".encode("utf-16-le"), None, "set the stream's format.encoding"),
    "utf16": ("a.csv", "id,v\n1,2\n".encode("utf-16"), None, "set the stream's format.encoding"),
    "sep": ("a.csv", b"sep=;\nid;v\n1;2\n", None, "format.delimiter to ';' and format.skip_rows_before_header to 1"),
    "json": ("a.csv", b'{"id": 1, "v": 2}\n{"id": 2, "v": 2}\n', None, "{filetype: jsonl}"),
    "html": ("a.csv", b"<!DOCTYPE html>\n<p>Sign in</p>\n", None, "HTML or XML"),
    "spreadsheet": ("a.csv", b"PK\x03\x04\0\0", None, "a zip archive or a spreadsheet"),
    "no_utf8": ("a.parquet", column([b"\xff"], pa.binary()), None, "not UTF-8 text"),
}


def config(landing: Landing, folder: Path) -> Path:
    before, rest = CONFIG.format(bucket=landing.bucket, mode="").split("        - name: orders")
    between, _ = f"destinations:{rest.split('destinations:')[1]}".split("        - {name: orders")
    declared = {name: case[2] for name, case in REFUSED.items() if case[2]} | {
        name: {"v": name.split("-")[0]} for name in DECLARED
    }
    names = [*LOADED, *REFUSED]
    streams = [{"name": name} | ({"columns": declared[name]} if name in declared else {}) for name in names]
    chosen = [{"name": name, "syncMode": "incremental_append"} for name in names]
    (path := folder / "values.yaml").write_text(f"{before}{_items(streams)}{between}{_items(chosen)}")
    return path


def _items(each: Iterable[dict[str, Any]]) -> str:
    return "".join(f"        - {json.dumps(one)}\n" for one in each)


def loaded(mock: Mock, name: str) -> list[tuple[Any, str | None]]:
    rows = mock.rows("v, _airbyte_meta", stream=name, order="_airbyte_raw_id")
    changes = [(value, json.loads(meta)["changes"]) for value, meta in rows]
    return [(value, change[0]["change"] if change else None) for value, change in changes]


def test_every_value_is_exact_or_noted_or_its_file_is_refused(start: Start, landing: Landing, tmp_path: Path) -> None:
    for name, (file, data, *_) in {**LOADED, **REFUSED}.items():
        landing.put(f"{name}/{file}", data)
    with start(config=config(landing, tmp_path)) as mock:
        failures = mock.attempts(mock.sync()["jobId"])[-1]["failureSummary"]["failures"]
        got = {name: sorted(loaded(mock, name), key=repr) for name in LOADED}
    assert got == {name: sorted(expected, key=repr) for name, (_, _, expected) in LOADED.items()}
    said = sorted(failure["externalMessage"] for failure in failures)
    assert len(said) == len(REFUSED), said
    for name, (file, _, _, reason) in REFUSED.items():
        assert any(f"{name}/{file}" in message and reason in message for message in said), said

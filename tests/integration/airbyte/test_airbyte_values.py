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

from tests.integration.airbyte.conftest import CONFIG
from tests.integration.airbyte.running_mock import Landing, Mock, Start

NULLED, CUT = "NULLED", "TRUNCATED"
TEN = 1357034400_000000000
"""10:00 on 1 January 2013 in UTC, in nanoseconds."""


def column(values: list[Any], type_: pa.DataType) -> bytes:
    parquet.write_table(pa.table({"v": pa.array(values, type_)}), buffer := io.BytesIO())
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
    "days": ("a.parquet", column([date(2013, 1, 31)], pa.date32()), [(date(2013, 1, 31), None)]),
}
REFUSED: dict[str, tuple[str, bytes, dict[str, str] | None, str]] = {
    "no_utf8": ("a.parquet", column([b"\xff"], pa.binary()), None, "not UTF-8 text"),
}


def config(landing: Landing, folder: Path) -> Path:
    before, rest = CONFIG.format(bucket=landing.bucket, mode="").split("        - name: orders")
    between, _ = f"destinations:{rest.split('destinations:')[1]}".split("        - {name: orders")
    declared = {name: case[2] for name, case in REFUSED.items() if case[2]}
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

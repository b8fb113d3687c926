"""A stream is a folder or a glob of CSV, JSON Lines and Parquet files, with columns that are declared or inferred."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.integration.airbyte.mock_config import CONFIG
from tests.integration.airbyte.running_mock import Landing, Mock, Start

ROWS = "(VALUES (1, 'ant', 1.5), (2, NULL, 2)) AS t(id, name, price)"
Configured = Callable[..., Path]


def parquet(tmp_path: Path, query: str) -> bytes:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{tmp_path / 'made.parquet'}' (FORMAT parquet)")
    return (tmp_path / "made.parquet").read_bytes()


@pytest.fixture
def configured(tmp_path: Path, landing: Landing) -> Configured:
    """The test configuration with its stream `orders` replaced."""

    def write(orders: dict[str, Any], mode: str = "incremental_append") -> Path:
        text = CONFIG.format(bucket=landing.bucket, mode=mode)
        start, end = text.index("        - name: orders"), text.index("        - name: shops")
        (config := tmp_path / "formats.yaml").write_text(f"{text[:start]}        - {json.dumps(orders)}\n{text[end:]}")
        return config

    return write


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.parquet", "A.PARQUET"])
def test_every_format_gives_the_same_rows_and_true_counts(
    mock: Mock, landing: Landing, tmp_path: Path, name: str
) -> None:
    lines = '{"id": 1, "name": "ant", "price": 1.5}\n{"id": 2, "name": null, "price": 2}\n'
    texts = {"csv": "id,name,price\n1,ant,1.5\n2,,2\n", "jsonl": lines}
    kind = name.removesuffix(".gz").split(".")[1].lower()
    landing.put(f"orders/{name}", texts.get(kind) or parquet(tmp_path, f"FROM {ROWS}"))
    job = mock.sync()
    assert (job["status"], job["rowsSynced"]) == ("succeeded", 2)
    stored = landing.client.head_object(Bucket=landing.bucket, Key=f"inbound/orders/{name}")
    assert job["bytesSynced"] == stored["ContentLength"]
    assert mock.rows() == [(1, "ant", 1.5), (2, None, 2.0)]
    assert mock.rows("DISTINCT _airbyte_meta::JSON ->> 'changes'", order="1") == [("[]",)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_value_of_another_type_is_null_and_noted_in_every_format(
    mock: Mock, landing: Landing, tmp_path: Path, name: str
) -> None:
    rows = "(VALUES (1, 'cheap'), (2, '3.5')) AS t(id, price)"
    lines = '{"id": 1, "price": "cheap"}\n{"id": 2, "price": 3.5}\n'
    landing.put(f"orders/{name}", lines if name.endswith("jsonl") else parquet(tmp_path, f"FROM {rows}"))
    assert mock.sync()["status"] == "succeeded"
    (_, price, meta), right = mock.rows("id, price, _airbyte_meta")
    nulled = {"field": "price", "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}
    assert (price, json.loads(meta)["changes"]) == (None, [nulled])
    assert (right[1], json.loads(right[2])["changes"]) == (3.5, [])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"id": 1}\n{"id":\n', "line 2: the line is not one complete JSON object (Expecting value"),
        ("a.jsonl", '{"id": 1}\n\n[1, 2]\n', "line 3: the line is JSON, but not an object"),
        (
            "a.jsonl",
            '{"id": 1}\n{"id": 2, "a": {"b": 1, "c": 2}, "id": 3}\n',
            "line 2: the object has the key 'id' twice",
        ),
        ("a.jsonl", '{"id": "%s"}\n{"id": 2, "id": 3}\n' % ("x" * 2**20), "line 2: the object has the key 'id' twice"),
        ("a.jsonl.gz", '{"id": 1} {"id": 2}\n', "line 1: the line is not one complete JSON object (Extra data"),
        ("a.jsonl", b'{"id": 1}\n{"name": "\xe4"}\n', "line 2: the line is not UTF-8"),
        ("a.jsonl", '{"id": 1, "ID": 2}\n', "the file names one column 'id' and 'ID'"),
        ("a.parquet", b"PAR1 not really PAR1", "the Parquet file is broken or incomplete"),
        ("a.parquet", "id,name\n1,ant\n", "not a Parquet file"),
    ],
)
def test_a_file_that_is_not_of_its_format_is_named_and_leaves_no_row(
    mock: Mock, landing: Landing, name: str, content: str | bytes, said: str
) -> None:
    landing.put(f"orders/{name}", content)
    job = mock.sync()
    assert job["status"] == "failed"
    assert f"s3://{landing.bucket}/inbound/orders/{name}" in (reason := mock.reason(job["jobId"]))
    assert said in reason
    assert mock.files() == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_file_without_a_row_is_no_error_in_any_format(
    mock: Mock, landing: Landing, tmp_path: Path, name: str
) -> None:
    empty = parquet(tmp_path, f"FROM {ROWS} LIMIT 0")
    landing.put(f"orders/{name}", empty if name.endswith("parquet") else "")
    job = mock.sync()
    assert (job["status"], job["rowsSynced"]) == ("succeeded", 0)


def test_a_glob_takes_the_files_that_fit_it_and_no_other(
    start: Start, landing: Landing, configured: Configured
) -> None:
    columns = {"id": "integer", "name": "string", "price": "number"}
    config = configured(
        {"name": "orders", "globs": ["sales/**/2013-*.csv|sales/**/2014-*.csv", "late.jsonl"], "columns": columns}
    )
    for id_, key in enumerate(["sales/2013-a.csv", "sales/eu/de/2014-b.csv", "sales/2015-c.csv", "orders/2013-d.csv"]):
        landing.put(key, f"id\n{id_}\n")
    landing.put("late.jsonl", '{"id": 9}\n')
    with start(config=config) as mock:
        assert mock.sync()["rowsSynced"] == 3
        assert [row[0] for row in mock.rows("id")] == [0, 1, 9]


def test_inferred_columns_have_the_types_of_the_first_files_and_later_ones_widen_them_and_say_so(
    start: Start, landing: Landing, configured: Configured
) -> None:
    config = configured({"name": "orders"})
    landing.put("orders/a.csv", "id,price,paid,note\n1,1.5,true,x\n2,2,,\n")
    with start(config=config) as mock:
        assert mock.sync()["rowsSynced"] == 2
        assert mock.rows("id, price, paid, note") == [(1, 1.5, True, "x"), (2, 2.0, None, None)]
    landing.put("orders/b.jsonl", '{"id": 3, "tags": ["new"], "shop": {"id": 7}, "count": 4}\n')
    landing.put("orders/c.jsonl", '{"id": "four", "count": 5, "paid": null}\n')
    with start(config=config) as mock:
        assert mock.sync()["rowsSynced"] == 2
        newer = mock.rows("id, paid, tags ->> '$[0]', shop ->> 'id', count, _airbyte_meta", order="count")[:2]
        (info,) = mock.http.post("/api/v1/jobs/get", json={"id": 2}).json()["attempts"]
    assert newer[0][:-1] == ("3", None, "new", "7", 4)
    assert newer[1][:-1] == ("four", None, None, None, 5)
    assert [json.loads(row[-1])["changes"] for row in newer] == [[], []]
    (line,) = info["logs"]["logLines"]
    assert line.startswith(
        "WARN Column 'id' of stream 'orders' was integer and is string now, because of the values in inbound/orders/c."
    )


def test_inferred_columns_of_parquet_keep_their_types(
    start: Start, landing: Landing, configured: Configured, tmp_path: Path
) -> None:
    query = "SELECT 1::TINYINT AS id, DATE '2013-01-01' AS d, TIMESTAMPTZ '2013-01-01 10:00Z' AS m, [1, 2] AS parts"
    landing.put("orders/a.parquet", parquet(tmp_path, f"{query}, 1.50::DECIMAL(9, 2) AS price, NULL::TINYINT AS none"))
    with start(config=configured({"name": "orders"})) as mock:
        mock.sync()
        types = mock.rows("typeof(id), typeof(d), typeof(m), typeof(parts), typeof(price), typeof(none)")
        assert types == [("BIGINT", "DATE", "TIMESTAMP WITH TIME ZONE", "JSON", "VARCHAR", "BIGINT")]
        assert mock.rows("parts ->> '$[1]', price", order="1") == [("2", "1.50")]


def test_an_appending_full_refresh_keeps_the_rows_of_every_generation(start: Start, landing: Landing) -> None:
    landing.put("orders/a.csv", "id,name,price,at\n1,ant,1.5,\n")
    with start(mode="full_refresh_append") as mock:
        assert [mock.sync()["rowsSynced"], mock.sync()["rowsSynced"]] == [1, 1]
        assert mock.rows("id, _airbyte_generation_id", order="2") == [(1, 1), (1, 2)]


def test_values_that_a_column_type_cannot_hold_are_exact_text_or_null_and_noted(
    start: Start, landing: Landing, configured: Configured, tmp_path: Path
) -> None:
    query = (
        "SELECT 12345678901234567.89::DECIMAL(19, 2) AS price, 'text'::BLOB AS note, 'nan'::DOUBLE AS share, 1 AS id"
    )
    landing.put("orders/year=2013/month=01/a.parquet", parquet(tmp_path, query))
    with start(config=configured({"name": "orders"})) as mock:
        assert mock.sync()["status"] == "succeeded"
        ((*values, meta),) = mock.rows("price, note, share, year, month, _airbyte_meta")
    assert values == ["12345678901234567.89", "text", None, "2013", "01"]
    assert [change["field"] for change in json.loads(meta)["changes"]] == ["share"]


def test_a_csv_number_that_is_not_finite_is_null_and_noted(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", "id,price\n1,1.5\n2,nan\n3,-Infinity\n4,1e999\n5,\n")
    assert mock.sync()["status"] == "succeeded"
    found = [(price, len(json.loads(meta)["changes"])) for price, meta in mock.rows("price, _airbyte_meta")]
    assert found == [(1.5, 0), (None, 1), (None, 1), (None, 1), (None, 0)]


def test_a_parquet_file_whose_binary_values_are_no_text_is_refused(
    mock: Mock, landing: Landing, tmp_path: Path
) -> None:
    landing.put("orders/a.parquet", parquet(tmp_path, "SELECT 1 AS id, '\\xFF'::BLOB AS name"))
    assert "is not UTF-8 text" in mock.reason(mock.sync()["jobId"])


TEXTS = ("00501", "+49", "12E3", "1_000", "0x1F", " 7", "12345678901234567890", "1.1000000000000000001")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("several", [True, False])
def test_text_that_is_more_than_its_number_makes_a_column_text_in_whichever_file_it_is(
    start: Start, landing: Landing, configured: Configured, text: str, several: bool
) -> None:
    landing.put("orders/a.csv", "id,v\n1,2010\n")
    with start(config=configured({"name": "orders"})) as mock:
        if not several:
            mock.sync()
        landing.put("orders/b.csv", f"id,v\n2,{text}\n")
        landing.put("orders/c.csv", "id,v\n3,9007199254740993\n")
        job = mock.sync()
        assert job["status"] == "succeeded"
        assert mock.rows("v") == [("2010",), (text,), ("9007199254740993",)]
        (info,) = mock.http.post("/api/v1/jobs/get", json={"id": job["jobId"]}).json()["attempts"]
        assert len(info["logs"]["logLines"]) == (0 if several else 1)


def test_a_column_of_integers_becomes_numbers_only_where_a_double_keeps_them_all(
    start: Start, landing: Landing, configured: Configured
) -> None:
    landing.put("orders/a.csv", "id,small,large\n1,5,9007199254740993\n")
    with start(config=configured({"name": "orders"})) as mock:
        mock.sync()
        landing.put("orders/b.csv", "id,small,large,added\n2,1.50,1.5,5\n")
        landing.put("orders/c.csv", "id,added\n3,0.5\n")
        mock.sync()
        assert mock.rows("small, large, added")[:2] == [(5.0, "9007199254740993", None), (1.5, "1.5", 5.0)]


def test_the_whole_file_says_what_type_a_column_has(start: Start, landing: Landing, configured: Configured) -> None:
    landing.put("orders/a.csv", "id,v\n" + "1,1\n" * 150_000 + "2,007\n")
    with start(config=configured({"name": "orders"})) as mock:
        mock.sync()
        assert mock.rows("v", order="id DESC")[:2] == [("007",), ("1",)]


def test_a_nested_column_keeps_any_value_of_a_later_file_and_stays_readable(
    start: Start, landing: Landing, configured: Configured
) -> None:
    landing.put("orders/a.jsonl", '{"id": 1, "v": {"a": 1}, "w": 5, "x": "t"}\n')
    with start(config=configured({"name": "orders"})) as mock:
        mock.sync()
        landing.put("orders/b.jsonl", '{"id": 2, "v": "text", "w": [1], "x": {"b": 2}}\n{"id": 3, "v": 1.5}\n')
        mock.sync()
        landing.put("orders/c.csv", "id,v\n4,text\n5,7\n")
        mock.sync()
        assert mock.rows("v, w, x")[:3] == [('{"a":1}', "5", "t"), ('"text"', "[1]", '{"b":2}'), ("1.5", None, None)]
        (noted, kept) = mock.rows("v, _airbyte_meta")[3:]
        assert (noted[0], kept[0]) == (None, "7")
        assert "NULLED" in noted[1]

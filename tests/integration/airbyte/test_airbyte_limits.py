"""A file that grows beyond its limits, or is not read whole, fails its own stream by name; the others go on."""

import gzip
from pathlib import Path

import duckdb
import pytest

from services.airbyte.formats import csv_file, open_file
from services.airbyte.formats.model import BadFile, Limits
from services.airbyte.formats.survey import Survey
from tests.integration.airbyte.running_mock import Landing, Mock, Start

HEADER = "id,name,price,at\n"
PADDING = b"x" * 3_000_000


@pytest.mark.parametrize(
    ("key", "content", "limit", "setting"),
    [
        ("a.csv.gz", gzip.compress(b"id," + PADDING), {"max_header_size": 100_000}, "MAX_HEADER_SIZE"),
        ("a.csv.gz", gzip.compress(b'id,"' + b"x\n" * 90_000), {"max_header_size": 100_000}, "MAX_HEADER_SIZE"),
        ("a.csv.gz", gzip.compress(b"id,name\n1," + PADDING), {"max_line_size": 1_000_000}, "MAX_LINE_SIZE"),
        ("a.csv", b'id,name\n1,"' + b"x\n" * 90_000 + b'"\n', {"max_line_size": 100_000}, "MAX_LINE_SIZE"),
        ("a.jsonl.gz", gzip.compress(b'{"id": "' + PADDING), {"max_line_size": 1_000_000}, "MAX_LINE_SIZE"),
        ("a.csv.gz", gzip.compress(b"id,name\n" + b"1,x\n" * 400_000), {"max_file_size": 1_000_000}, "MAX_FILE_SIZE"),
        ("a.jsonl", b'{"id": 1}\n' * 200_000, {"max_file_size": 1_000_000}, "MAX_FILE_SIZE"),
        ("a.csv", b"id,a,b,c\n1,2,3,4\n", {"max_columns": 3}, "MAX_COLUMNS"),
        ("a.jsonl", b'{"a": 1, "b": 2}\n{"c": 3, "d": 4}\n', {"max_columns": 3}, "MAX_COLUMNS"),
    ],
)
def test_a_file_over_a_limit_is_named_with_the_setting_and_the_other_streams_load(
    start: Start, landing: Landing, tmp_path: Path, key: str, content: bytes, limit: dict[str, int], setting: str
) -> None:
    landing.put(f"orders/{key}", content)
    landing.put("shops/a.csv", "id,name\n7,shop\n")
    with start(**limit) as mock:
        job = mock.sync()
        assert (job["status"], job["rowsSynced"]) == ("failed", 1)
        said = mock.reason(job["jobId"])
        assert f"inbound/orders/{key}" in said
        assert f"MOCK_AIRBYTE_{setting}" in said
        assert mock.files() == []
        assert len(mock.attempts(job["jobId"])) == 1


def test_a_gzip_file_that_grows_out_of_proportion_is_stopped_early(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv.gz", gzip.compress(HEADER.encode() + b"1,ant,1.5,\n" * 12_000_000, 1))
    said = mock.reason(mock.sync()["jobId"])
    assert "inbound/orders/a.csv.gz" in said
    assert "MOCK_AIRBYTE_MAX_GZIP_RATIO" in said


def test_a_parquet_file_of_few_bytes_and_many_rows_is_refused_by_what_it_says_of_itself(
    start: Start, landing: Landing, tmp_path: Path
) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS id FROM range(1_000_000)) TO '{tmp_path}/a.parquet'")
    landing.put("orders/a.parquet", (tmp_path / "a.parquet").read_bytes())
    with start(max_file_size=500_000) as mock:
        said = mock.reason(mock.sync()["jobId"])
    assert "its 1,000,000 rows of 1 columns" in said
    assert "MOCK_AIRBYTE_MAX_FILE_SIZE" in said


@pytest.mark.parametrize("value", ["repeat('x', 100_000)", "repeat('x', 100_000)::BLOB"])
def test_a_parquet_file_that_repeats_one_long_value_is_refused_before_its_rows_are_written(
    start: Start, landing: Landing, tmp_path: Path, value: str
) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS id, {value} AS name FROM range(3000)) TO '{tmp_path}/a.parquet'")
    landing.put("orders/a.parquet", (file := tmp_path / "a.parquet").read_bytes())
    assert file.stat().st_size < 20_000
    with start(max_file_size=50_000_000) as mock:
        said = mock.reason(mock.sync()["jobId"])
        assert "the text of its 3,000 rows is 300 MB, which is more than 50 MB" in said
        assert "MOCK_AIRBYTE_MAX_FILE_SIZE" in said
    with start(max_file_size=500_000_000) as mock:
        assert mock.sync()["rowsSynced"] == 3000


@pytest.mark.parametrize("size", [2_100_000, 12_000_000])
@pytest.mark.parametrize(
    ("key", "begin", "row"),
    [("a.csv", b"id,name\n", b"%d,%s\n"), ("a.jsonl", b"", b'{"id": %d, "name": "%s"}\n')],
)
def test_a_long_row_is_read_wherever_it_stands(
    mock: Mock, landing: Landing, key: str, begin: bytes, row: bytes, size: int
) -> None:
    lines = begin + row % (1, b"x" * size) + row % (2, b"b") + row % (3, b"y" * size)
    landing.put(f"shops/{key}", lines.rstrip(b"\n"))
    assert mock.sync()["rowsSynced"] == 3
    assert mock.rows("id, length(name)", "shops") == [(1, size), (2, 1), (3, size)]


@pytest.mark.parametrize(
    "content",
    [
        b"id,name\r\n1,ant\n2,bee\r\n",
        b"id,name\n1,ant\r\n2,bee\n",
        b"id,name\n1,ant\r2,bee\n",
        b'\xef\xbb\xbfid,name\r\n1,"ant"\n\n2,bee',
    ],
)
def test_a_csv_file_with_mixed_line_ends_is_read(mock: Mock, landing: Landing, content: bytes) -> None:
    landing.put("shops/a.csv", content)
    assert mock.sync()["rowsSynced"] == 2
    assert mock.rows("id, name", "shops") == [(1, "ant"), (2, "bee")]


def test_mixed_line_ends_do_not_hide_the_line_of_a_malformed_row(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", b"id,name\r\n1,ant\n2\r\n")
    assert "inbound/shops/a.csv, line 3: the row has 1 values, but the header names 2" in mock.reason(
        mock.sync()["jobId"]
    )


@pytest.mark.parametrize(
    "content",
    [
        'id,name\n1,5" pipe\n2,x\n',
        'id,name\n1,"a\nb ""c"""\n\n2,\n\n',
        "id\n1\n2\n",
        'id,name\n1, "a\nb"\n2,3" x 4"\n',
        "id,name\r1,a\r2,b\r",
    ],
)
def test_whatever_counts_as_a_row_is_counted_alike(mock: Mock, landing: Landing, content: str) -> None:
    landing.put("shops/a.csv", content)
    job = mock.sync()
    assert (job["status"], job["rowsSynced"]) == ("succeeded", 2)


@pytest.mark.parametrize(
    ("key", "content"), [("a.csv", b"id,name\n1,a\n2,b\n3,c\n"), ("a.jsonl", b'{"id": 1}\n{"id": 2}\n\n{"id": 3}')]
)
def test_rows_that_were_not_read_make_the_file_a_bad_one(tmp_path: Path, key: str, content: bytes) -> None:
    (path := tmp_path / key).write_bytes(content)
    (survey := Survey(Limits(), quotes=key.endswith("csv"))).feed(content)
    with duckdb.connect() as connection:
        file = open_file(connection, key, path, survey, Limits())
    file.check(3)
    with pytest.raises(BadFile, match="the file has 3 rows, but 2 were read from it"):
        file.check(2)


@pytest.mark.parametrize("content", ['id,a 5" pipe\n', 'id,name\n0,5" pipe\n'])
def test_a_quote_within_a_value_does_not_make_one_long_row_of_the_rest(
    start: Start, landing: Landing, content: str
) -> None:
    landing.put("shops/a.csv", content + "1,x\n" * 50_000)
    with start(max_line_size=20_000, max_header_size=20_000) as mock:
        job = mock.sync()
        assert (job["status"], job["rowsSynced"]) == ("succeeded", 50_000 + content.startswith("id,name"))


def test_a_header_after_an_empty_line_is_reported(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", "\nid,name\n1,ant\n")
    assert "inbound/shops/a.csv" in mock.reason(mock.sync()["jobId"])


def test_a_byte_order_mark_and_half_a_character_in_json_lines(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.jsonl", b'\xef\xbb\xbf{"id": 1}\n')
    landing.put("shops/a.jsonl", b'{"id": 1, "name": "\\ud83d"}\n{"id": 2}\n')
    job = mock.sync()
    assert mock.rows("id") == [(1,)]
    assert "inbound/shops/a.jsonl, line 1: the line has half of a surrogate pair" in mock.reason(job["jobId"])


def test_more_columns_than_the_memory_holds_are_told_with_the_setting(start: Start, landing: Landing) -> None:
    names = ["id", *(f"c{number}" for number in range(1800))]
    landing.put("orders/a.csv", f"{','.join(names)}\n{','.join(names)}\n")
    with start(memory_limit="15MB") as mock:
        said = mock.reason(mock.sync()["jobId"])
    assert "inbound/orders/a.csv needs more memory than MOCK_AIRBYTE_MEMORY_LIMIT allows" in said


@pytest.mark.parametrize(("format_", "rows"), [("csv", 2000), ("parquet", 2000), ("json", 20)])
def test_wide_files_load_side_by_side_in_the_usual_memory(
    mock: Mock, landing: Landing, tmp_path: Path, format_: str, rows: int
) -> None:
    """Two at once do not fit, so one waits for the other."""
    wide = ", ".join(f"(range * {number}) % 1009 as c{number}" for number in range(1900))
    query = f"select range as id, {wide} from range({rows})"
    duckdb.sql(f"copy ({query}) to '{tmp_path / 'wide'}' (format {format_})")
    for stream in ("orders", "shops"):
        landing.put(f"{stream}/wide.{format_.replace('json', 'jsonl')}", (tmp_path / "wide").read_bytes())
    job = mock.sync()
    assert job["rowsSynced"] == 2 * rows, mock.attempts(job["jobId"])
    assert mock.rows("c1899", order="id") == [(str(row * 1899 % 1009),) for row in range(rows)]


def test_what_a_key_has_for_a_terminal_reaches_no_message(mock: Mock, landing: Landing) -> None:
    landing.put("orders/\x1b[31mred\x07.csv", "id,\x1b[2Jname,\x1b[2Jname\n")
    job = mock.sync()
    (failure,) = mock.attempts(job["jobId"])[-1]["failureSummary"]["failures"]
    for message in (failure["externalMessage"], failure["internalMessage"]):
        assert r"orders/\x1b[31mred\x07.csv" in message
        assert "\x1b" not in message


def test_the_quick_count_is_right_however_a_file_is_cut_into_pieces() -> None:
    text = b'a,b\r\n1,"x\r\ny"\r\n"2,""",\r\n3,"\n"'
    for step in range(1, len(text)):
        survey, at = Survey(Limits(), quotes=True), 0
        while piece := text[at : at + step]:
            piece += text[at + step : at + step + 1] if piece.endswith(b"\r") else b""
            survey.feed(piece)
            at += len(piece)
        assert (survey.records, survey.mixed_ends) == (4, False), step
        assert survey.longest < csv_file.MAX_DEFAULT_ROW

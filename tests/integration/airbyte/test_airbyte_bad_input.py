"""A bad file fails its own stream, names the place, and leaves no row behind."""

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from services.airbyte.formats import open_file
from services.airbyte.formats.model import Limits
from services.airbyte.formats.survey import Survey
from services.airbyte.protocol import Committed, Done, Failed, Reading, S3Access, StreamTask, SyncTask, decode
from tests.integration.airbyte.mock_config import mock_of
from tests.integration.airbyte.running_mock import Landing, Mock, Start

HEADER = "id,name,price,at\n"


@pytest.mark.parametrize(
    ("name", "content", "line", "reason"),
    [
        ("few.csv", HEADER + "1,ant,1.5,\n2,bee\n", 3, "the row has 2 values, but the header names 4"),
        ("many.csv", HEADER + "1,ant,1.5,,,9\n", 2, "the row has 5 values, but the header names 4"),
        ("quote.csv", HEADER + '1,"ant,1.5,\n2,bee,1,\n', 2, "a quote is not closed"),
        ("latin.csv", HEADER.encode() + b"1,\xe4nt,1.5,\n", 2, "the row is not UTF-8"),
        (
            "many.csv.gz",
            HEADER + "1,ant,1.5,\n1,ant,1.5,,9\n",
            3,
            "the row has 5 values, but the header names 4",
        ),
        ("header.csv", b"id,n\xe4me\n1,2\n", 1, "column 2 of the header is not UTF-8"),
        ("twice.csv", "id,ID\n1,2\n", 1, "names columns 'id' and 'ID'"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_named_with_line_and_reason(
    mock: Mock, landing: Landing, name: str, content: str | bytes, line: int, reason: str
) -> None:
    landing.put(f"orders/{name}", content)
    job = mock.sync()
    assert job["status"] == "failed"
    said = mock.reason(job["jobId"])
    assert f"s3://{landing.bucket}/inbound/orders/{name}, line {line}:" in said
    assert reason in said
    assert mock.rows() == []
    assert mock.files() == []


def parquet_of_other_columns() -> bytes:
    parquet.write_table(pa.table({"key": [1], "label": ["ant"]}), out := io.BytesIO())
    return out.getvalue()


OTHERS = {
    "delimiter.csv": ("id;name\n1;ant\n", 'set the stream\'s format.delimiter to ";"'),
    "headless.csv": ("1,ant\n2,bee\n", "set format.header_definition"),
    "other.jsonl": ('{"key": 1, "label": "ant"}\n', "'key', 'label'"),
    "other.parquet": (parquet_of_other_columns(), "'key', 'label'"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("declared", [True, False])
def test_a_file_with_none_of_the_streams_columns_is_refused_with_what_it_has(
    start: Start, landing: Landing, tmp_path: Path, name: str, declared: bool
) -> None:
    content, said = OTHERS[name]
    stream = {"name": "t"} | ({"columns": {"id": "integer", "name": "string"}} if declared else {})
    with mock_of(start, landing, [stream], tmp_path) as mock:
        landing.put("t/a.csv", "id,name\n0,fly\n")
        mock.sync()
        landing.put(f"t/{name}", content)
        reason = mock.reason(mock.sync()["jobId"])
        assert "none of the stream's columns ('id', 'name')" in reason
        assert said in reason
        landing.put(
            f"t/{name}", "" if name.endswith("parquet") else "id,name\n1,ant\n" if "csv" in name else '{"id": 1}'
        )
        assert mock.sync()["status"] == "succeeded"
        assert None not in [row[0] for row in mock.rows("id", "t")]


@pytest.mark.parametrize("row", ["2,y,9", "2"])
def test_a_csv_with_a_row_of_more_or_fewer_values_than_its_header_has_text_columns_until_it_is_read(
    tmp_path: Path, row: str
) -> None:
    (file := tmp_path / "a.csv").write_text(content := f"id,name\n1,x\n{row}\n3,z,4\n")
    survey = Survey(limits := Limits(), quotes=True)
    survey.feed(content.encode())
    with duckdb.connect() as connection:
        assert open_file(connection, "a.csv", file, survey, limits).infer() == {"id": "string", "name": "string"}


@pytest.mark.parametrize("data", [b"id,name\n1,ant\n", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03KT"])
def test_a_file_that_is_no_whole_gzip_is_named(mock: Mock, landing: Landing, data: bytes) -> None:
    landing.put("orders/a.csv.gz", data)
    assert "inbound/orders/a.csv.gz" in (said := mock.reason(mock.sync()["jobId"]))
    assert "gzip" in said


def test_other_streams_and_earlier_files_commit_and_a_mended_file_completes(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", "id,name\n7,shop\n")
    landing.put("orders/a.csv", HEADER + "1,ant,1.5,\n")
    landing.put("orders/b.csv", HEADER + "2,bee\n")
    job = mock.sync()
    assert job["status"] == "failed"
    assert job["rowsSynced"] == 2
    assert mock.attempts(job["jobId"])[0]["failureSummary"]["partialSuccess"] is True
    assert mock.rows() == [(1, "ant", 1.5)]
    assert len(mock.rows("id", "shops")) == 1
    landing.put("orders/b.csv", HEADER + "2,bee,2,\n")
    assert mock.sync()["rowsSynced"] == 1
    assert mock.rows() == [(1, "ant", 1.5), (2, "bee", 2.0)]


def test_a_bad_file_is_not_retried_because_only_a_person_can_mend_it(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", HEADER + "1\n")
    assert len(mock.attempts(mock.sync()["jobId"])) == 1


@pytest.mark.parametrize("content", ["", HEADER])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_an_empty_file_has_no_rows_and_is_no_error(mock: Mock, landing: Landing, name: str, content: str) -> None:
    landing.put(f"orders/{name}", content or content.encode())
    job = mock.sync()
    assert (job["status"], job["rowsSynced"]) == ("succeeded", 0)
    assert mock.files() == []


def test_a_missing_column_is_null_and_an_added_one_is_kept(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", "name,id\nant,1\n")
    landing.put("orders/b.csv", 'id,name,price,at,"the ""colour"""\n2,bee,2,,red\n')
    mock.sync()
    assert mock.rows('id, name, price, "the ""colour"""') == [(1, "ant", None, None), (2, "bee", 2.0, "red")]


def test_a_value_of_another_type_is_nulled_and_noted(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", HEADER + "1,ant,cheap,\n1.5,bee,2,\n3,cat,3,2013-01-01T10:00:00Z\n")
    assert mock.sync()["status"] == "succeeded"
    rows = {row[0]: row[1:] for row in mock.rows("name, id, price, _airbyte_meta")}
    assert [rows[name][:2] for name in ("ant", "bee", "cat")] == [(1, None), (None, 2.0), (3, 3.0)]
    changes = {name: json.loads(row[2])["changes"] for name, row in rows.items()}
    nulled = {"change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}
    assert changes == {"ant": [{"field": "price", **nulled}], "bee": [{"field": "id", **nulled}], "cat": []}


def test_a_fraction_in_an_integer_column_is_never_rounded(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", "id,name\n2.0,whole\n2.5,half\n9007199254740993,large\n15e-1,small\n")
    mock.sync()
    rows = mock.rows("name, id", "shops", "name")
    assert rows == [("half", None), ("large", 9007199254740993), ("small", None), ("whole", 2)]


def test_quoted_commas_newlines_crlf_and_a_byte_order_mark_are_plain_csv(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", b'\xef\xbb\xbfid,name\r\n1,"a,b"\r\n2,"two\r\nlines"\r\n3,"say ""hi"""')
    mock.sync()
    assert [row[0] for row in mock.rows("name", "shops")] == ["a,b", "two\r\nlines", 'say "hi"']


def test_a_disk_without_room_fails_the_stream_and_leaves_no_partial_file(
    landing: Landing, s3_url: str, tmp_path: Path, worker: Callable[..., list[Committed | Failed | Done]]
) -> None:
    landing.put("shops/a.csv", "id,name\n" + "1,a\n" * 200_000)
    folder = tmp_path / "lake" / "shops"
    columns = {"id": "integer", "name": "string"}
    stream = StreamTask("shops", "inbound/", ["shops/**"], place=str(folder), columns=columns)
    access = S3Access(s3_url, "us-east-1", "test", "test")
    task = SyncTask(1, "c", landing.bucket, str(tmp_path / "work"), "256MB", 1, 1, [stream], access)
    failed, done = worker(task, largest_file=1_000_000)
    assert isinstance(failed, Failed)
    assert isinstance(done, Done)
    assert failed.message.startswith(f"There is no space to write inbound/shops/a.csv to {folder}")
    assert [path.name for path in folder.iterdir() if not path.name.startswith("_schema-")] == []
    committed, _ = worker(task)
    assert isinstance(committed, Committed)
    assert committed.rows == 200_000


@pytest.fixture
def worker() -> Callable[..., list[Committed | Failed | Done]]:
    """Run the worker process itself, with the operating system's limit on how large a file may grow."""

    def run(task: SyncTask, largest_file: int | None = None) -> list[Committed | Failed | Done]:
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest_file}, {largest_file}))\n"
        engine, its = socket.socketpair()
        begin = "import socket, sys; from services.airbyte.jobs.worker import main\n"
        run = "main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])"
        command = [sys.executable, "-c", f"{limit if largest_file else ''}{begin}{run}", str(its.fileno()), os.devnull]
        with subprocess.Popen(command, pass_fds=[its.fileno()]) as process, engine, engine.makefile("rwb") as lines:
            its.close()
            lines.write(task.to_line())
            lines.flush()
            messages: list[Committed | Failed | Done] = []
            while not messages or not isinstance(messages[-1], Done):
                if not isinstance(message := decode(lines.readline()), Reading):
                    messages.append(message)
            process.wait(10)
        return messages

    return run


BROKEN = {
    "surrogate.jsonl": b'{"id": 1, "name": "\\ud800"}\n',
    "bom.jsonl": b'\xef\xbb\xbf{"id": 1}\n{"id": }\n',
    "several.jsonl": b'{\n"id": 1\n}\n',
    "list.jsonl": b"[1]\n",
    "key.jsonl": b'{"id": 1, "id": 2}\n',
    "nul.csv": b"id,name\n1,a\x00b\n",
    "ends.csv": b'id,name\r1,a\n2,"b\r\n',
    "text.parquet": b"id,name\n1,a\n",
    "cut.parquet": b"PAR1" + b"\x00" * 40 + b"PAR1",
    "cut.csv.gz": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03KT",
    "cut.zip": b"PK\x03\x04",
}


def test_no_message_on_a_bad_file_has_a_path_of_the_mocks(start: Start, landing: Landing, tmp_path: Path) -> None:
    streams = [{"name": name.replace(".", "_")} for name in BROKEN]
    for name, content in BROKEN.items():
        landing.put(f"{name.replace('.', '_')}/{name}", content)
    with mock_of(start, landing, streams, tmp_path) as mock:
        failures = mock.attempts(mock.sync()["jobId"])[-1]["failureSummary"]["failures"]
    said = {each["streamDescriptor"]["name"]: each["externalMessage"] for each in failures}
    for name in BROKEN.keys() - {"nul.csv", "bom.jsonl"}:
        assert f"/{name}" in said[name.replace(".", "_")]
    for message in said.values():
        assert str(tmp_path) not in message
        assert "work/job-" not in message
        assert "None of its rows were loaded" in message

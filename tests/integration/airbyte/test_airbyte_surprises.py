"""What nobody foresaw in one stream, or in front of S3, costs no other stream its rows, and no table its old ones."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest

from services.airbyte.formats.csv_file import CsvFile
from services.airbyte.load import loader
from services.airbyte.protocol import Committed, Failed, Message, S3Access, StreamTask, SyncTask
from tests.integration.airbyte.running_mock import Landing, Mock, Start

PAGES = [b"<html><body>Sign in</body></html>", b"<!doctype html><p>Sign in", b'{"ok": true}', b""]


@contextmanager
def answering(page: bytes) -> Iterator[str]:
    """The URL of a server that answers every request with this page and status 200, as a proxy may."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("page", PAGES)
def test_a_proxys_page_in_place_of_s3_fails_the_sync_and_an_overwritten_stream_keeps_its_rows(
    start: Start, landing: Landing, page: bytes
) -> None:
    landing.put("orders/a.csv", "id,name\n1,ant\n")
    with start(mode="full_refresh_overwrite") as mock:
        assert mock.sync()["rowsSynced"] == 1
    with (
        answering(page) as url,
        start(mode="full_refresh_overwrite", s3_endpoint_url=url, max_attempts=1) as mock,
    ):
        job = mock.sync()
        assert job["status"] == "failed"
        failures = mock.attempts(job["jobId"])[-1]["failureSummary"]["failures"]
        assert all(url in failure["externalMessage"] for failure in failures), failures
        assert mock.rows("id, name") == [(1, "ant")]


def test_a_line_that_never_closes_its_brackets_is_named_and_the_other_streams_load(
    mock: Mock, landing: Landing
) -> None:
    landing.put("orders/a.jsonl", b'{"id": 1, "name": ' + b"[" * 200_000 + b"\n")
    landing.put("shops/a.csv", "id,name\n7,shop\n")
    job = mock.sync()
    assert (job["status"], job["rowsSynced"]) == ("failed", 1)
    assert "inbound/orders/a.jsonl" in mock.reason(job["jobId"])
    assert len(mock.attempts(job["jobId"])) == 1


def test_a_message_that_would_quote_a_long_row_is_cut(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.jsonl", b'{"id": 1, "id": 2, "name": "' + b"x" * 3_000_000 + b'"}\n')
    said = mock.reason(mock.sync()["jobId"])
    assert "inbound/orders/a.jsonl" in said
    assert len(said) < 3000


def test_an_error_that_nobody_foresaw_fails_its_own_stream_by_file_and_traceback(
    monkeypatch: pytest.MonkeyPatch, landing: Landing, s3_url: str, tmp_path: Path
) -> None:
    def surprise(_: CsvFile, __: int) -> None:
        raise AssertionError("nobody foresaw this")

    monkeypatch.setattr(CsvFile, "check", surprise)
    landing.put("orders/a.csv", "id\n1\n")
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 7 AS id) TO '{tmp_path}/a.parquet'")
    landing.put("shops/a.parquet", (tmp_path / "a.parquet").read_bytes())
    said: list[Message] = []
    loader.run(task(landing, s3_url, tmp_path), said.append)
    (failed,) = [each for each in said if isinstance(each, Failed)]
    assert failed.stream == "orders"
    assert "inbound/orders/a.csv: AssertionError: nobody foresaw this" in failed.message
    assert "Traceback" in failed.detail
    assert [each.stream for each in said if isinstance(each, Committed)] == ["shops"]


def task(landing: Landing, s3_url: str, folder: Path) -> SyncTask:
    streams = [
        StreamTask(name, "inbound/", [f"{name}/**"], place=str(folder / "lake" / name), columns={"id": "integer"})
        for name in ("orders", "shops")
    ]
    access = S3Access(s3_url, "us-east-1", "test", "test")
    return SyncTask(1, "c", landing.bucket, str(folder / "work"), "256MB", 1, 1, streams, access)

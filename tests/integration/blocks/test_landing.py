"""The landing bucket is listed completely, and S3's errors say what to check."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import HTTPClientError
from moto.core.botocore_stubber import MockRawResponse
from pydantic import SecretStr

from blocks.landing import AwsAccess, LandingUnavailable, is_redirected, listing, s3_client
from blocks.s3_events import Notifications, QueueUnusable, sqs_client
from blocks.systems import S3Landing
from commands.doctor.landing import landing
from services.airbyte.load.messages import s3_failure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_a_file_is_found_with_its_version_and_size(s3: "S3Client", bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="inbound/flights/a b+é.csv", Body=b"x,y\n")["ETag"]
    (file,) = listing(s3, bucket, "inbound/")
    assert (file.key, file.etag, file.size) == ("inbound/flights/a b+é.csv", etag.strip('"'), 4)
    assert file.last_modified is not None
    assert file.last_modified.tzinfo is not None


def test_folders_other_prefixes_and_other_patterns_are_left_out(s3: "S3Client", bucket: str) -> None:
    for key in ("inbound/", "inbound/flights/", "inbound/flights/a.csv", "inbound/weather/a.csv", "outbound/a.csv"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert [file.key for file in listing(s3, bucket, "inbound/", "flights/*.csv")] == ["inbound/flights/a.csv"]
    assert len(list(listing(s3, bucket, "inbound/"))) == 2
    assert len(list(listing(s3, bucket, ""))) == 3


def test_every_page_of_a_listing_is_read(s3: "S3Client", bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"inbound/{number}", Body=b"")
    assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2
    assert len({file.key for file in listing(s3, bucket, "inbound/")}) == 5


def test_an_unknown_bucket_is_named_with_what_to_check(s3: "S3Client") -> None:
    with pytest.raises(LandingUnavailable, match=r"s3://no-such-bucket.*does not exist.*Correct S3_BUCKET"):
        list(listing(s3, "no-such-bucket", "inbound/"))


def test_s3_that_is_not_running_is_said_with_how_to_start_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(LandingUnavailable, match=rf"{url}.*S3_ENDPOINT_URL.*`make dev`"):
        list(listing(s3_client("landing", AwsAccess(url)), "landing", "inbound/"))


def test_an_endpoint_that_is_no_url_is_named() -> None:
    with pytest.raises(LandingUnavailable, match=r"Invalid endpoint: localhost.*S3_ENDPOINT_URL"):
        s3_client("landing", AwsAccess("localhost:4566"))


def test_an_endpoint_that_redirects_every_request_is_named_by_the_platform_the_doctor_and_the_mock() -> None:
    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(301)
            self.send_header("Location", "https://s3.example.com/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        access = AwsAccess(url, "us-east-1", "test", "test")
        with pytest.raises(LandingUnavailable, match=r"redirect.*S3_ENDPOINT_URL") as raised:
            list(listing(s3_client("landing", access), "landing", ""))
        block = S3Landing(bucket="landing", endpoint_url=url, region="us-east-1", access_key_id="a", prefix="inbound/")
        (finding,) = landing(block.model_copy(update={"secret_access_key": SecretStr("b")}))
        server.shutdown()
    assert (finding.state, "S3_ENDPOINT_URL" in finding.fix) == ("fail", True)
    for each in (RecursionError(), HTTPClientError(error=RecursionError("maximum recursion depth exceeded"))):
        assert is_redirected(each)
    task = cast(Any, SimpleNamespace(bucket="acme", s3=SimpleNamespace(endpoint_url=url)))
    assert s3_failure(cast(Exception, raised.value.__cause__), task)[0] == "config_error"


def test_an_aws_profile_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(LandingUnavailable, match=r"nobody.*AWS credentials"):
        s3_client("landing", AwsAccess())


@pytest.mark.parametrize("page", ["<html><body>Sign in</body></html>", "<!doctype html>Sign in", "", "[]"])
def test_a_proxys_page_is_not_taken_for_a_queue_without_messages(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Notifications, "_dead_letters", lambda _: "")
    url = "http://127.0.0.1:1/000000000000/events"
    client = sqs_client(url, AwsAccess("", "us-east-1", "test", "test"))
    client.meta.events.register(
        "before-send", lambda request, **_: AWSResponse(request.url, 200, {}, MockRawResponse(page.encode()))
    )
    with pytest.raises(QueueUnusable, match="SENSOR_QUEUE_URL"):
        list(Notifications(client, url, "landing").receive(10))

"""Whatever answers a call to S3, SQS or Prefect in three polls: the sensor goes on, and hands on every file once.

SENSOR_FAULTS=1 has every fault befall every call, which takes half an hour; n takes one in n of these cases.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from moto import mock_aws
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber

from blocks.errors import PlatformError
from blocks.landing import AwsAccess, check_answers
from blocks.s3_events import Notifications
from commands.embedded.queue import make_queue
from flows.sensors.arrivals import Arrivals
from flows.sensors.cursor import CursorStore
from flows.sensors.poll import Sensor, Watch
from flows.sensors.runs import DeploymentRuns
from tests.unit.sensor.fake_prefect import FakePrefect
from tests.unit.sensor.world import Crash

BUCKET, PREFIX = "landing", "inbound/"
PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Please sign in.</p></body></html>"
XHTML = "<html><body><p>Please sign in.</p></body></html>"
ERROR = "<Error><Code>{}</Code><Message>no</Message></Error>"
FATES = [
    *("crash before", "crash after", "timeout before", "timeout after", "torn", "cut off", "page", "page as XML"),
    *("empty", "400", "401", "403", "404", "413", "429", "500", "503"),
]
MODES = ["polling", "events"]
CALLS = {"polling": 60, "events": 85}  # of three polls
WAIT_SECONDS = 60


class Outside:
    """S3, SQS and Prefect; one call, by its number, meets a fate."""

    def __init__(self, mode: str, number: int = -1, fate: str = "") -> None:
        self.number, self.fate, self.calls = number, fate, list[str]()
        self.prefect = FakePrefect(befall=self._prefect_call)
        config = Config(retries={"total_max_attempts": 1})
        session = AwsAccess("", "us-east-1", "test", "test").session()
        self.s3, self.sqs = (check_answers(session.client(name, config=config)) for name in ("s3", "sqs"))
        self.s3.create_bucket(Bucket=BUCKET)
        self.queue = ""
        if mode == "events":
            make_queue(self.s3, self.sqs, BUCKET, PREFIX)
            self.queue = self.sqs.get_queue_url(QueueName="landing-events")["QueueUrl"]

    def listen(self) -> None:
        """From here on calls are counted, and one meets its fate."""
        for client in (self.s3, self.sqs):
            client.meta.events.unregister("before-send", botocore_stubber)
            client.meta.events.register("before-send", self._aws_call)

    def sensor(self) -> Sensor:
        """A sensor that has just been started; a failed batch is parked at once."""
        watch = Watch(bucket=BUCKET, prefix=PREFIX, attempts=1, pause=timedelta(0), reconcile=timedelta(hours=1))
        arrivals = Arrivals(Notifications(self.sqs, self.queue, BUCKET, 0)) if self.queue else None
        return Sensor(
            watch, CursorStore(self.s3, BUCKET, PREFIX), DeploymentRuns("full_pipeline/asked-for", None), arrivals
        )

    def put(self, key: str) -> None:
        """A file lands; that is not a call of the sensor's."""
        number, self.number = self.number, -1
        self.s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}{key}", Body=key.encode())
        self.calls.pop()
        self.number = number

    def _fate(self, name: str) -> str:
        self.calls.append(name)
        return self.fate if len(self.calls) - 1 == self.number else ""

    def _aws_call(self, event_name: str, request: Any, **_: Any) -> AWSResponse:
        fate, url = self._fate(event_name), request.url
        if fate == "crash before":
            raise Crash(event_name)
        if fate == "timeout before":
            raise ReadTimeoutError(endpoint_url=url)
        if fate.isdigit() and event_name.startswith("before-send.sqs"):
            return _answer(url, int(fate), json.dumps({"__type": "Refused", "message": "no"}))
        if fate.isdigit():
            return _answer(url, int(fate), PAGE if fate in ("404", "413") else ERROR.format("Refused"))
        answer = botocore_stubber(event_name, request)
        assert answer
        if fate == "crash after":
            raise Crash(event_name)
        if fate == "timeout after":
            raise ReadTimeoutError(endpoint_url=url)
        if fate == "torn":
            raise ConnectionClosedError(endpoint_url=url)
        if fate in ("page", "page as XML", "empty"):
            return _answer(url, 200, {"page": PAGE, "page as XML": XHTML, "empty": ""}[fate])
        if fate == "cut off":
            body = answer.content
            headers = {**answer.headers, "content-length": str(len(body))}
            return AWSResponse(url, answer.status_code, headers, MockRawResponse(body[: len(body) // 2]))
        return answer

    def _prefect_call(self, name: str, apply: Callable[[], httpx.Response]) -> httpx.Response:
        fate = self._fate(name)
        if fate == "crash before":
            raise Crash(name)
        if fate == "timeout before":
            raise httpx.ReadTimeout("no answer")
        if fate.isdigit():
            return httpx.Response(int(fate), text=PAGE)
        answer = apply()
        if fate == "crash after":
            raise Crash(name)
        if fate == "timeout after":
            raise httpx.ReadTimeout("no answer")
        if fate == "torn":
            raise httpx.RemoteProtocolError("the server disconnected")
        if fate in ("page", "page as XML", "empty"):
            return httpx.Response(200, text={"page": PAGE, "page as XML": XHTML, "empty": ""}[fate])
        if fate == "cut off":
            return httpx.Response(answer.status_code, content=answer.content[: len(answer.content) // 2])
        return answer


def _answer(url: str, status: int, body: str) -> AWSResponse:
    return AWSResponse(url, status, {"content-type": "text/html"}, MockRawResponse(body.encode()))


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("blocks.s3_events.VISIBILITY_SECONDS", 1)
    monkeypatch.setattr("flows.sensors.arrivals.REFUSED_SECONDS", 1)
    with mock_aws(), FakePrefect.without_retries():
        yield


def three_polls(outside: Outside) -> None:
    """A file is handed on, its run fails and is parked, others come."""
    outside.listen()
    for key, end in (("a", "FAILED"), ("b", "COMPLETED"), ("c", "COMPLETED")):
        outside.put(key)
        with suppress(PlatformError, Crash):
            outside.sensor().poll()
        outside.prefect.end(end)


@pytest.mark.parametrize("mode", MODES)
def test_three_polls_make_all_kinds_of_calls(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # No message comes again: on a busy machine a poll may take longer than a second.
    monkeypatch.setattr("blocks.s3_events.VISIBILITY_SECONDS", 600)
    outside = Outside(mode)
    monkeypatch.setattr("blocks.prefect_client.get_client", outside.prefect.client)
    three_polls(outside)
    assert len(outside.calls) == CALLS[mode]
    assert len(outside.prefect.runs) == 3
    assert len(outside.prefect.artifacts) == 1


def settled(outside: Outside) -> bool:
    """Whether nothing is left to do."""
    cursor = outside.sensor().store.load()[0]
    listed = [each["Key"] for each in outside.s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)["Contents"]]
    handed_on = {each["key"] for run in outside.prefect.runs.values() for each in run["parameters"]["files"]}
    left = 0
    if outside.queue:
        names: list[Any] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = outside.sqs.get_queue_attributes(QueueUrl=outside.queue, AttributeNames=names)["Attributes"]
        left = sum(map(int, counts.values()))
    open_ends = (cursor.pending, cursor.accepted, cursor.failed, cursor.unshown, left)
    return open_ends == (None, [], [], False, 0) and handed_on >= set(listed)


def cases() -> list[Any]:
    every = [(mode, number, fate) for mode in MODES for number in range(CALLS[mode]) for fate in FATES]
    sample = every[:: int(os.environ.get("SENSOR_FAULTS", "79"))]
    return [
        pytest.param(*case, id="-".join(map(str, case)), marks=[pytest.mark.exhaustive] if at % 4 else [])
        for at, case in enumerate(sample)
    ]


@pytest.mark.parametrize(("mode", "number", "fate"), cases())
def test_whatever_answers_a_call_every_file_is_handed_on_once(
    mode: str, number: int, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Outside(mode, number, fate)
    monkeypatch.setattr("blocks.prefect_client.get_client", outside.prefect.client)
    three_polls(outside)
    assert len(outside.calls) > number
    deadline = time.monotonic() + WAIT_SECONDS
    while not settled(outside):
        assert time.monotonic() < deadline
        outside.sensor().poll()
        outside.prefect.end("COMPLETED")
    runs = outside.prefect.runs.values()
    keys = Counter(each["key"] for run in runs for each in run["parameters"]["files"])
    assert keys == {f"{PREFIX}{key}": 1 for key in "abc"}
    assert {run["state"]["type"] for run in runs} <= {"COMPLETED", "FAILED"}

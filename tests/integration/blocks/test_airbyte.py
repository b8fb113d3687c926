"""The client of Airbyte's API against the mock: one sync is one job, and every failure says what to do."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from blocks.airbyte.api import Job, StreamStats
from blocks.airbyte.client import AirbyteClient, check_connection_id
from blocks.airbyte.errors import (
    AirbyteError,
    AirbyteUnauthorised,
    AirbyteUnavailable,
    ConnectionInactive,
    SyncCancelled,
    SyncFailed,
    SyncTimedOut,
    UnknownConnection,
)
from blocks.errors import ConfigurationError
from blocks.settings import AIRBYTE_CONNECTION_ID_UNSET
from services.airbyte.app import create_app
from services.airbyte.settings import Settings as MockSettings

CONNECTION = "11111111-1111-4111-8111-111111111111"
INACTIVE = "66666666-6666-4666-8666-666666666666"
UNKNOWN = "99999999-9999-4999-8999-999999999999"
CLIENT_ID, SECRET = "platform", "s3cr3t-of-the-application"
PUBLIC = "/api/public/v1"
CONFIG = f"""
workspaces:
  - {{workspaceId: 44444444-4444-4444-8444-444444444444, name: Test}}
sources:
  - sourceId: 22222222-2222-4222-8222-222222222222
    name: Shop
    workspaceId: 44444444-4444-4444-8444-444444444444
    configuration:
      bucket: BUCKET
      prefix: inbound/
      streams:
        - name: orders
          primaryKey: [id]
          columns: {{id: integer, name: string}}
destinations:
  - destinationId: 33333333-3333-4333-8333-333333333333
    name: Lake
    workspaceId: 44444444-4444-4444-8444-444444444444
connections:
  - connectionId: {CONNECTION}
    name: Shop to lake
    sourceId: 22222222-2222-4222-8222-222222222222
    destinationId: 33333333-3333-4333-8333-333333333333
    configurations: {{streams: [{{name: orders, syncMode: incremental_append}}]}}
  - connectionId: {INACTIVE}
    name: Old shop
    prefix: old_
    status: inactive
    sourceId: 22222222-2222-4222-8222-222222222222
    destinationId: 33333333-3333-4333-8333-333333333333
"""
NO_CONNECTION = "workspaces: [{workspaceId: 44444444-4444-4444-8444-444444444444, name: Test}]"


def a_moment(seconds: float) -> None:
    """A fiftieth of the client's pauses: it asks as often, in less time."""
    time.sleep(seconds / 50)


OWN = (CLIENT_ID, SECRET)


@dataclass
class Server:
    """A running mock, and what a test asks of it behind the client's back."""

    url: str
    http: httpx.Client

    def client(self, **changes: Any) -> AirbyteClient:
        values = {"client_id": CLIENT_ID, "client_secret": SecretStr(SECRET), "sleep": a_moment}
        return AirbyteClient(self.url + PUBLIC, **values | changes)

    def fault(self, kind: str, **fault: Any) -> Callable[[], int]:
        """Ask for a fault; returns how often it has struck."""
        answer = self.http.post("/_mock/faults", json={"kind": kind, **fault}, auth=OWN)
        assert answer.status_code == 201, answer.text
        number = answer.json()["faultId"]
        return lambda: {f["faultId"]: f["struck"] for f in self.http.get("/_mock/faults", auth=OWN).json()}[number]

    def clear(self, *_: object) -> None:
        self.http.delete("/_mock/faults", auth=OWN).raise_for_status()

    def tokens_issued(self) -> Callable[[], int]:
        return self.fault("slow", operation="createAccessToken", seconds=0)


@pytest.fixture(scope="module")
def start(serve: Callable[[Any], str], s3_url: str) -> Iterator[Callable[..., Server]]:
    opened: list[httpx.Client] = []

    def run(folder: Path, config: str, **changes: Any) -> Server:
        (folder / "airbyte.yaml").write_text(config)
        values: dict[str, Any] = {
            "config": folder / "airbyte.yaml",
            "lake_dir": folder / "lake",
            "state_dir": folder / "state",
            "s3_endpoint_url": s3_url,
            "s3_region": "us-east-1",
            "s3_access_key_id": "test",
            "s3_secret_access_key": "test",
            "client_id": CLIENT_ID,
            "client_secret": SECRET,
            "retry_delay": 0.3,
            "faults": True,
        }
        url = serve(create_app(MockSettings(**values | changes)))
        opened.append(httpx.Client(base_url=url))
        return Server(url, opened[-1])

    yield run
    for http in opened:
        http.close()


@pytest.fixture(scope="module")
def mock(start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    return start(tmp_path_factory.mktemp("airbyte"), CONFIG.replace("BUCKET", "shop"))


@pytest.fixture
def server(mock: Server) -> Iterator[Server]:
    """The mock without faults, and without a job that runs."""
    yield mock
    mock.clear()
    with mock.client() as client:
        while job := client.newest_job(CONNECTION, running=True):
            client.cancel(job.job_id)


@pytest.fixture
def airbyte(server: Server) -> Iterator[AirbyteClient]:
    with server.client() as client:
        yield client


@pytest.fixture
def answers(serve: Callable[[Any], str]) -> Callable[[dict[str, Any]], str]:
    """A server that gives fixed answers by path: what the mock would never say."""

    def run(by_path: dict[str, Any]) -> str:
        async def answer(request: Request) -> Response:
            body = by_path.get(request.url.path)
            return body if isinstance(body, Response) else JSONResponse(body, 200 if body is not None else 404)

        return serve(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"])]))

    return run


def newest(client: AirbyteClient) -> int:
    job = client.newest_job(CONNECTION)
    return job.job_id if job else 0


def wire_job(**changes: Any) -> dict[str, Any]:
    return {"jobId": 1, "status": "running", "jobType": "sync", "connectionId": CONNECTION, **changes}


# -- credentials ---------------------------------------------------------------------------------------


def test_one_token_serves_many_calls(server: Server, airbyte: AirbyteClient) -> None:
    issued = server.tokens_issued()
    assert [airbyte.connection(CONNECTION).name for _ in range(3)] == ["Shop to lake"] * 3
    assert issued() == 1


def test_a_token_is_renewed_before_it_expires(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(tmp_path, NO_CONNECTION, token_lifetime=8)
    issued = server.tokens_issued()
    with server.client() as client:
        client.newest_job(CONNECTION)
        first = issued()
        time.sleep(4.2)  # past half of its life, short of its end
        client.newest_job(CONNECTION)
    assert (first, issued()) == (1, 2)


def test_a_token_that_the_server_no_longer_takes_is_renewed_once(server: Server, airbyte: AirbyteClient) -> None:
    airbyte.connection(CONNECTION)
    issued = server.tokens_issued()
    server.fault("status", status=401, operation="getConnection", times=1)
    assert airbyte.connection(CONNECTION).status == "active"
    assert issued() == 1


@pytest.mark.parametrize(
    ("status", "said"), [(401, "AIRBYTE_CLIENT_SECRET"), (403, "accepts the credentials.*the role Runner")]
)
def test_credentials_that_are_refused_again_are_an_error(
    server: Server, airbyte: AirbyteClient, status: int, said: str
) -> None:
    struck = server.fault("status", status=status, operation="getConnection")
    with pytest.raises(AirbyteUnauthorised, match=f"answered {status}.*{said}"):
        airbyte.connection(CONNECTION)
    assert struck() <= 2


def test_a_url_without_the_token_call_is_said_to_be_no_public_api(server: Server) -> None:
    elsewhere = AirbyteClient(f"{server.url}/api/public", CLIENT_ID, SecretStr(SECRET), a_moment)
    with (
        elsewhere,
        pytest.raises(AirbyteError, match=r"api/public/applications/token does not exist.*HOST/api/public/v1"),
    ):
        elsewhere.connection(CONNECTION)


def test_wrong_credentials_are_named_and_not_shown(server: Server) -> None:
    wrong = server.client(client_secret=SecretStr("a-wrong-secret"))
    with wrong, pytest.raises(AirbyteUnauthorised, match=r"AIRBYTE_CLIENT_ID.*belong to this server") as caught:
        wrong.connection(CONNECTION)
    assert "a-wrong-secret" not in str(caught.value)
    assert server.url in str(caught.value)


def test_missing_credentials_are_said_to_be_missing(server: Server) -> None:
    anonymous = server.client(client_id="")
    with anonymous, pytest.raises(AirbyteUnauthorised, match="not set, but this server needs them"):
        anonymous.connection(CONNECTION)


def test_a_server_without_credentials_is_asked_without_a_token(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(tmp_path, NO_CONNECTION, client_id=None, client_secret=None)
    issued = server.tokens_issued()
    with server.client(client_id="") as anonymous:
        assert anonymous.newest_job(CONNECTION) is None
    assert issued() == 0


def test_an_answer_without_a_token_says_what_is_wrong(answers: Callable[..., str]) -> None:
    url = answers({f"{PUBLIC}/applications/token": {"welcome": "to another server"}}) + PUBLIC
    client = AirbyteClient(url, CLIENT_ID, SecretStr(SECRET), a_moment)
    with client, pytest.raises(AirbyteUnavailable, match=r"lacks a field .* in a token: .*access_token"):
        client.connection(CONNECTION)


# -- reading -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 502},
        {"kind": "malformed_json"},
    ],
)
def test_a_read_is_tried_again_while_airbyte_stumbles(
    server: Server, airbyte: AirbyteClient, fault: dict[str, Any]
) -> None:
    struck = server.fault(**fault, operation="getConnection", times=3)
    assert airbyte.connection(CONNECTION).name == "Shop to lake"
    assert struck() == 3


@pytest.mark.parametrize(("status", "words"), [(500, "answered 500"), (429, "keeps answering 429"), (502, "502")])
def test_a_read_is_given_up_after_four_attempts(
    server: Server, airbyte: AirbyteClient, status: int, words: str
) -> None:
    struck = server.fault("status", status=status, operation="getConnection")
    with pytest.raises(AirbyteUnavailable, match=words) as caught:
        airbyte.connection(CONNECTION)
    assert struck() == 4
    assert server.url in str(caught.value)
    assert "run the flow again" in str(caught.value)


def test_the_pause_between_attempts_doubles_with_jitter(server: Server) -> None:
    pauses: list[float] = []
    server.fault("status", status=500, operation="getConnection", times=3)
    with server.client(sleep=pauses.append) as client:
        client.connection(CONNECTION)
    assert [0.5 <= pause / longest <= 1 for pause, longest in zip(pauses, (0.5, 1, 2), strict=True)] == [True] * 3


def test_airbyte_not_running_is_said_with_how_to_start_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}{PUBLIC}"
    pauses: list[float] = []
    client = AirbyteClient(url, sleep=pauses.append)
    with client, pytest.raises(AirbyteUnavailable, match=r"`make dev`.*AIRBYTE_SERVER_URL") as caught:
        client.connection(CONNECTION)
    assert len(pauses) == 3
    assert url in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8006/api", "", "ftp://localhost/v1", "http://", "http://localhost:port/v1"])
def test_an_address_that_is_no_url_is_refused_before_any_call(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"AIRBYTE_SERVER_URL.*http://localhost:8006/api/public/v1"):
        AirbyteClient(url)


@pytest.mark.parametrize("body", [Response("<html>", media_type="text/html"), JSONResponse(["a list"]), {"id": 1}])
def test_a_server_that_is_no_airbyte_is_recognised(answers: Callable[..., str], body: Any) -> None:
    client = AirbyteClient(answers({f"/connections/{CONNECTION}": body}), sleep=a_moment)
    with client, pytest.raises(AirbyteUnavailable, match="Check that AIRBYTE_SERVER_URL is the base URL"):
        client.connection(CONNECTION)


@pytest.mark.parametrize("answer", [Response(status_code=302, headers={"location": "/login"}), Response("no", 400)])
def test_an_answer_that_airbyte_does_not_give_is_an_error_with_a_hint(
    answers: Callable[..., str], answer: Response
) -> None:
    client = AirbyteClient(answers({f"/connections/{CONNECTION}": answer}), sleep=a_moment)
    with client, pytest.raises(AirbyteError, match=rf"answered {answer.status_code} for {CONNECTION}.*right scheme"):
        client.connection(CONNECTION)


def test_an_unknown_connection_is_named_with_where_to_find_others(airbyte: AirbyteClient) -> None:
    with pytest.raises(UnknownConnection, match=rf"{UNKNOWN}.*AIRBYTE_CONNECTION_ID.*/connections"):
        airbyte.start_sync(UNKNOWN)


def test_a_job_of_another_server_is_unknown(airbyte: AirbyteClient) -> None:
    with pytest.raises(UnknownConnection, match="does not know job 999999"):
        airbyte.job(999_999)


def test_a_placeholder_is_no_connection_id() -> None:
    with pytest.raises(ConfigurationError, match="AIRBYTE_CONNECTION_ID still holds its placeholder"):
        check_connection_id(AIRBYTE_CONNECTION_ID_UNSET)


@pytest.mark.parametrize("text", ["my connection", "", "7f6b1a52-3c0e-4d3b-9a51"])
def test_a_connection_id_that_is_no_uuid_is_shown_with_one_that_is(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an Airbyte connection id.*7f6b1a52-3c0e-4d3b-9a51-"):
        check_connection_id(text)


def test_a_connection_id_is_written_in_one_way() -> None:
    assert check_connection_id(CONNECTION.upper().replace("-", "")) == CONNECTION


# -- starting ------------------------------------------------------------------------------------------


def test_a_sync_moves_rows_and_its_report_counts_them(server: Server, airbyte: AirbyteClient, s3: Any) -> None:
    s3.create_bucket(Bucket="shop")
    s3.put_object(Bucket="shop", Key="inbound/orders/a.csv", Body=b"id,name\n1,tea\n2,milk\n")
    seen: list[Job] = []
    job, adopted = airbyte.start_sync(CONNECTION)
    ended = airbyte.wait(job, 60, seen.append)
    assert (adopted, ended.job_id, ended.status, ended.rows_synced) == (False, job.job_id, "succeeded", 2)
    assert seen[-1] == ended
    assert ended.bytes_synced > 0
    report = airbyte.report(job.job_id)
    assert [(stream.name, stream.rows) for stream in report.streams] == [("orders", 2)]
    assert report.reason == ""


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 502}, {"kind": "status", "status": 500}, {"kind": "malformed_json"}]
)
def test_a_job_whose_answer_was_lost_is_found_and_not_started_again(
    server: Server, airbyte: AirbyteClient, fault: dict[str, Any]
) -> None:
    server.fault("stuck_running")
    before = newest(airbyte)
    struck = server.fault(**fault, operation="createJob", after=True)
    job, adopted = airbyte.start_sync(CONNECTION)
    assert (job.job_id, newest(airbyte), struck(), adopted) == (before + 1, before + 1, 1, False)


def test_a_start_that_never_arrived_is_reported_and_not_sent_again(server: Server, airbyte: AirbyteClient) -> None:
    before = newest(airbyte)
    struck = server.fault("status", status=503, operation="createJob")
    with pytest.raises(AirbyteUnavailable, match="answered 503 to POST /jobs"):
        airbyte.start_sync(CONNECTION)
    assert (newest(airbyte), struck()) == (before, 1)


def test_a_sync_that_is_already_running_is_adopted(server: Server, airbyte: AirbyteClient) -> None:
    server.fault("stuck_running")
    job, _ = airbyte.start_sync(CONNECTION)
    while airbyte.job(job.job_id).status != "running":
        time.sleep(0.01)
    assert airbyte.start_sync(CONNECTION)[0].job_id == job.job_id
    assert airbyte.start_sync(CONNECTION)[1] is True


def test_a_refusal_with_nothing_running_is_waited_out(server: Server, airbyte: AirbyteClient) -> None:
    before = newest(airbyte)
    struck = server.fault("conflict", times=2)
    job, adopted = airbyte.start_sync(CONNECTION)
    assert (job.job_id, adopted, struck()) == (before + 1, False, 2)


def test_a_refusal_that_lasts_is_reported_with_its_reason(server: Server, airbyte: AirbyteClient) -> None:
    struck = server.fault("conflict")
    with pytest.raises(AirbyteUnavailable, match=r"keeps answering 409.*sync is already running.*run the flow again"):
        airbyte.start_sync(CONNECTION, timeout=0.6)
    assert 1 <= struck() < 10


def test_a_start_that_is_throttled_is_sent_again(server: Server, airbyte: AirbyteClient) -> None:
    before = newest(airbyte)
    struck = server.fault("status", status=429, operation="createJob", times=2)
    job, adopted = airbyte.start_sync(CONNECTION)
    assert (job.job_id, newest(airbyte), adopted, struck()) == (before + 1, before + 1, False, 2)


def test_a_connection_that_is_switched_off_is_not_waited_for(airbyte: AirbyteClient) -> None:
    with pytest.raises(ConnectionInactive, match=rf"'Old shop' \({INACTIVE}\) is inactive\. Activate it"):
        airbyte.start_sync(INACTIVE)


def test_what_else_runs_on_a_connection_is_waited_out_and_not_taken_for_a_sync(server: Server) -> None:
    def sleep(seconds: float) -> None:
        server.clear()
        a_moment(seconds)

    with server.client(sleep=sleep) as client:
        server.fault("stuck_running")
        server.http.post(
            f"{PUBLIC}/jobs", json={"connectionId": CONNECTION, "jobType": "clear"}, headers=client._authorization()
        )
        job, adopted = client.start_sync(CONNECTION)
    assert (job.job_type, adopted) == ("sync", False)


# -- waiting -------------------------------------------------------------------------------------------


def test_pending_running_and_incomplete_are_waited_for(server: Server, airbyte: AirbyteClient) -> None:
    seen: set[str] = set()

    def look(job: Job) -> None:
        seen.add(job.status)
        if job.status == "pending":
            server.clear()
            server.fault("status", status=500, operation="getConnection", times=1)

    server.fault("stuck_pending")
    ended = airbyte.wait(airbyte.start_sync(CONNECTION)[0], 60, look)
    assert ended.status == "succeeded"
    assert "pending" in seen
    server.fault("fail_attempts", attempts=2, times=1)
    assert airbyte.wait(airbyte.start_sync(CONNECTION)[0], 60, look).status == "succeeded"
    assert "incomplete" in seen


def test_a_status_that_is_not_known_is_waited_for(answers: Callable[..., str]) -> None:
    by_path: dict[str, Any] = {"/jobs/1": wire_job(status="resting")}
    seen: list[str] = []

    def look(job: Job) -> None:
        seen.append(job.status)
        by_path["/jobs/1"] = wire_job(status="succeeded")

    with AirbyteClient(answers(by_path), sleep=a_moment) as client:
        assert client.wait(client.job(1), 60, look).status == "succeeded"
    assert seen in (["succeeded"], ["resting", "succeeded"])


def test_polls_are_close_at_first_and_ten_seconds_apart_later_on(server: Server) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            server.clear()
        time.sleep(0.02)

    server.fault("stuck_running")
    with server.client(sleep=sleep) as client:
        client.wait(client.start_sync(CONNECTION)[0], 3600)
    assert pauses[:3] == [0.25, 0.375, 0.5625]
    assert set(pauses[10:]) == {10.0}


def test_a_sync_that_never_ends_is_cancelled_at_its_deadline(server: Server, airbyte: AirbyteClient) -> None:
    server.fault("stuck_running")
    job, _ = airbyte.start_sync(CONNECTION)
    with pytest.raises(
        SyncTimedOut, match=r"after 0\.3 s and was cancelled.*increase AIRBYTE_SYNC_TIMEOUT_SECONDS"
    ) as e:
        airbyte.wait(job, 0.3)
    assert f"job {job.job_id}" in str(e.value)
    assert CONNECTION in str(e.value)
    assert airbyte.job(job.job_id).status == "cancelled"


def test_a_deadline_is_reported_even_if_the_job_cannot_be_cancelled(server: Server, airbyte: AirbyteClient) -> None:
    server.fault("stuck_running")
    job, _ = airbyte.start_sync(CONNECTION)
    server.fault("status", status=500, operation="cancelJob")
    with pytest.raises(SyncTimedOut, match=r"could not be cancelled.*answered 500.*AIRBYTE_SYNC_TIMEOUT_SECONDS"):
        airbyte.wait(job, 0.1)


def test_a_sync_that_fails_gives_airbytes_reason(server: Server, airbyte: AirbyteClient) -> None:
    server.fault("fail", reason="orders/a.csv, line 7: a quote is missing.", times=1)
    job, _ = airbyte.start_sync(CONNECTION)
    words = rf"job {job.job_id} of connection {CONNECTION} failed: orders/a.csv, line 7: a quote is missing\. Fix"
    with pytest.raises(SyncFailed, match=words):
        airbyte.wait(job, 60)


def test_a_sync_that_was_cancelled_elsewhere_is_its_own_error(server: Server, airbyte: AirbyteClient) -> None:
    server.fault("cancelled", times=1)
    job, _ = airbyte.start_sync(CONNECTION)
    with pytest.raises(SyncCancelled, match=rf"job {job.job_id}.*cancelled outside this flow\. Run the flow again"):
        airbyte.wait(job, 60)


def test_a_failure_without_a_reason_says_where_to_look(answers: Callable[..., str]) -> None:
    url = answers({"/jobs/1": wire_job(status="failed")})
    with AirbyteClient(url, sleep=a_moment) as client, pytest.raises(SyncFailed, match="see the job's log"):
        client.wait(client.job(1), 60)


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"attempts": [{"attempt": {"failureSummary": None, "streamStats": None}}]}, ""),
        ({"attempts": "none"}, ""),
        ({"attempts": [{"attempt": {"failureSummary": {"failures": [{"internalMessage": "OOM"}]}}}]}, "OOM"),
        (None, ""),
    ],
)
def test_a_report_that_lacks_fields_hides_no_failure(
    answers: Callable[..., str], details: dict[str, Any] | None, reason: str
) -> None:
    with AirbyteClient(answers({"/api/v1/jobs/get": details}) + PUBLIC, sleep=a_moment) as client:
        report = client.report(1)
    assert (report.reason, report.streams) == (reason, [])


def test_the_rows_of_all_attempts_count_in_a_report(answers: Callable[..., str]) -> None:
    def attempt(rows: int) -> dict[str, Any]:
        stats = {"recordsCommitted": rows, "bytesEmitted": rows * 10}
        return {"attempt": {"streamStats": [{"streamName": "orders", "stats": stats}]}}

    details = {"attempts": [attempt(2), attempt(3)]}
    with AirbyteClient(answers({"/api/v1/jobs/get": details}) + PUBLIC, sleep=a_moment) as client:
        [stream] = client.report(1).streams
    assert stream == StreamStats(name="orders", rows=5, bytes=50, read=5)


def test_a_report_has_the_warnings_of_a_jobs_log_once(answers: Callable[..., str]) -> None:
    logged = {"attempt": {}, "logs": {"logLines": ["2013-01-01 platform > done", "WARN Column 'id' was integer."]}}
    details = {"attempts": [logged, logged, {"attempt": {}, "logs": None}]}
    with AirbyteClient(answers({"/api/v1/jobs/get": details}) + PUBLIC, sleep=a_moment) as client:
        assert client.report(1).warnings == ["Column 'id' was integer."]


def test_no_error_shows_the_secret_or_a_token(server: Server, airbyte: AirbyteClient) -> None:
    airbyte.connection(CONNECTION)
    texts = [repr(vars(airbyte)["_client_secret"])]
    for fault in ({"status": 401}, {"status": 500}, {"status": 429}):
        server.fault("status", **fault, operation="createAccessToken")
        with server.client() as client, pytest.raises(AirbyteError) as caught:
            client.connection(CONNECTION)
        texts.append(f"{caught.value!r} {caught.value.__cause__!r}")
        server.clear()
    assert not [text for text in texts if SECRET in text or airbyte._token in text]

"""A fault strikes what it names, as often as it says, and looks like the real service's."""

import json
import time
from collections.abc import Callable

import httpx
import pytest
from starlette.testclient import TestClient

from services.airbyte.app import create_app
from services.airbyte.catalog.config_file import ConfigError
from services.airbyte.settings import Settings
from tests.integration.airbyte.running_mock import CONNECTION, V1, Landing, Mock, Start, served

OTHER = "99999999-9999-4999-8999-999999999999"


def test_faults_are_not_served_unless_they_are_switched_on(start: Start) -> None:
    with start(faults=False) as mock:
        assert mock.http.get("/_mock/faults").status_code == 404
        assert mock.http.get("/_mock/state").status_code == 404


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503])
def test_a_status_strikes_its_operation_so_many_times(mock: Mock, status: int) -> None:
    mock.fault(kind="status", status=status, operation="listJobs", times=2)
    answers = [mock.http.get(f"{V1}/jobs") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert "retry-after" not in answers[0].headers
    assert mock.http.get("/_mock/faults").json()[0]["struck"] == 2


def test_a_bad_gateway_is_html(mock: Mock) -> None:
    mock.fault(kind="status", status=502, operation="listJobs")
    assert mock.http.get(f"{V1}/jobs").headers["content-type"].startswith("text/html")


def test_a_fault_for_one_connection_leaves_others_alone(mock: Mock) -> None:
    mock.fault(kind="status", operation="createJob", connectionId=OTHER)
    assert mock.sync()["status"] == "succeeded"


def test_malformed_json_says_ok_and_is_not_json(mock: Mock) -> None:
    job_id = mock.sync()["jobId"]
    mock.fault(kind="malformed_json", operation="getJob", times=1)
    answer = mock.http.get(f"{V1}/jobs/{job_id}")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_an_answer_may_be_lost_after_the_job_was_created(mock: Mock) -> None:
    mock.fault(kind="status", status=502, operation="createJob", after=True, times=1)
    assert mock.http.post(f"{V1}/jobs", json={"connectionId": CONNECTION, "jobType": "sync"}).status_code == 502
    (job,) = mock.http.get(f"{V1}/jobs").json()["data"]
    assert mock.wait(job["jobId"])["status"] == "succeeded"


def test_a_conflict_lasts_until_it_is_removed(mock: Mock) -> None:
    fault = mock.fault(kind="conflict", connectionId=CONNECTION)
    body = {"connectionId": CONNECTION, "jobType": "sync"}
    assert [mock.http.post(f"{V1}/jobs", json=body).status_code for _ in range(2)] == [409, 409]
    mock.http.delete(f"/_mock/faults/{fault}")
    assert mock.http.post(f"{V1}/jobs", json=body).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status"), [("stuck_pending", "pending"), ("stuck_queued", "queued"), ("stuck_running", "running")]
)
def test_a_stuck_job_goes_on_when_faults_are_cleared(mock: Mock, kind: str, status: str) -> None:
    mock.fault(kind=kind)
    job_id = mock.start()["jobId"]
    assert mock.wait(job_id, status)["status"] == status
    mock.http.delete("/_mock/faults")
    assert mock.wait(job_id)["status"] == "succeeded"


def test_attempts_that_fail_are_followed_by_one_that_succeeds(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", "id,name\n7,shop\n")
    mock.fault(kind="fail_attempts", attempts=2, times=1)
    job = mock.sync()
    assert (job["status"], job["rowsSynced"]) == ("succeeded", 1)
    assert [attempt["status"] for attempt in mock.attempts(job["jobId"])] == ["failed", "failed", "succeeded"]


def test_a_job_may_be_cancelled_by_someone_else(mock: Mock) -> None:
    mock.fault(kind="cancelled", times=1)
    assert mock.sync()["status"] == "cancelled"
    assert mock.sync()["status"] == "succeeded"


def test_a_sync_may_succeed_without_a_row_and_leave_the_files_unread(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", "id,name\n7,shop\n")
    mock.fault(kind="zero_rows", times=1)
    assert mock.sync()["rowsSynced"] == 0
    assert mock.sync()["rowsSynced"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "flood"},
        {"kind": "status", "status": 418},
        {"kind": "fail", "operation": "getJob"},
        {"kind": "slow", "operation": "getjob"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(mock: Mock, fault: dict[str, object]) -> None:
    assert mock.http.post("/_mock/faults", json=fault).status_code == 422


def test_a_sync_asked_for_while_one_is_queued_is_that_one(mock: Mock) -> None:
    mock.fault(kind="stuck_queued")
    job_id = mock.start()["jobId"]
    mock.wait(job_id, "queued")
    assert mock.start()["jobId"] == job_id


def test_a_fault_may_let_some_requests_through_first(mock: Mock) -> None:
    mock.fault(kind="status", status=401, operation="listJobs", skip=2, times=1)
    assert [mock.http.get(f"{V1}/jobs").status_code for _ in range(4)] == [200, 200, 401, 200]


def test_a_token_may_expire_before_it_says(start: Start) -> None:
    with start(client_id="me", client_secret="s3cret") as mock:
        mock.fault(kind="token_expires", seconds=0, times=1)
        for status in (401, 200):
            answer = mock.http.post("/applications/token", json={"client_id": "me", "client_secret": "s3cret"}).json()
            assert answer["expires_in"] == 900
            headers = {"Authorization": f"Bearer {answer['access_token']}"}
            assert mock.http.get(f"{V1}/jobs", headers=headers).status_code == status


def test_a_file_that_disappears_fails_the_attempt_and_not_the_next(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", "id,name\n7,shop\n")
    mock.fault(kind="file_disappears", times=1)
    job = mock.sync()
    assert (job["status"], job["rowsSynced"]) == ("succeeded", 1)
    first, second = mock.attempts(job["jobId"])
    assert "inbound/shops/a.csv disappeared" in first["failureSummary"]["failures"][0]["externalMessage"]
    assert second["status"] == "succeeded"


def test_connections_are_refused_for_a_while_and_then_served_again(make_settings: Callable[..., Settings]) -> None:
    with served(make_settings()) as url:
        assert _answers(url)
        assert httpx.post(f"{url}/_mock/faults", json={"kind": "refuse", "seconds": 3}).status_code == 201
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}{V1}/health")
        deadline = time.monotonic() + 20
        while not _answers(url):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert httpx.get(f"{url}/_mock/faults").json() == []


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}{V1}/health").status_code == 200
    except httpx.ConnectError:
        return False


def test_a_named_set_of_faults_is_in_force_from_the_start(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    faults = "\nfaultSets: {flaky: [{kind: status, status: 502, operation: listJobs, times: 1}]}\n"
    settings.config.write_text(settings.config.read_text() + faults)
    with TestClient(create_app(settings.model_copy(update={"fault_set": "flaky", "faults": False}))) as http:
        assert [http.get(f"{V1}/jobs").status_code for _ in range(2)] == [502, 200]
    with pytest.raises(ConfigError, match="has these faultSets: flaky"):
        create_app(settings.model_copy(update={"fault_set": "shaky"}))


def test_state_shows_what_was_read_and_what_is_to_strike(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", "id,name\n7,shop\n8,other\n")
    job_id = mock.sync()["jobId"]
    mock.fault(kind="fail")
    state = mock.http.get("/_mock/state").json()
    assert [job["jobId"] for job in state["jobs"]] == [job_id]
    (connection,) = state["connections"]
    shops = next(stream for stream in connection["streams"] if stream["name"] == "shops")
    assert (shops["files"], shops["rows"]) == (1, 2)
    assert [fault["kind"] for fault in state["faults"]] == ["fail"]

"""A fault strikes what it names, as often as it says, and looks like the real service's."""

import json

import pytest

from tests.integration.airbyte.running_mock import CONNECTION, V1, Landing, Mock, Start

OTHER = "99999999-9999-4999-8999-999999999999"


def test_faults_are_not_served_unless_they_are_switched_on(start: Start) -> None:
    with start(faults=False) as mock:
        assert mock.http.get("/_mock/faults").status_code == 404


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


@pytest.mark.parametrize(("kind", "status"), [("stuck_pending", "pending"), ("stuck_running", "running")])
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
    "fault", [{"kind": "flood"}, {"kind": "status", "status": 418}, {"kind": "fail", "operation": "getJob"}]
)
def test_a_fault_that_makes_no_sense_is_refused(mock: Mock, fault: dict[str, object]) -> None:
    assert mock.http.post("/_mock/faults", json=fault).status_code == 422

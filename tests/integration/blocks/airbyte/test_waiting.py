"""The client waits for a job to its end or its deadline, and reports why it failed and what it moved."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from blocks.airbyte.api import Job, StreamStats
from blocks.airbyte.client import AirbyteClient
from blocks.airbyte.errors import SyncCancelled, SyncFailed, SyncTimedOut
from tests.integration.blocks.airbyte.server import CONNECTION, PUBLIC, Server, a_moment


def wire_job(**changes: Any) -> dict[str, Any]:
    return {"jobId": 1, "status": "running", "jobType": "sync", "connectionId": CONNECTION, **changes}


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

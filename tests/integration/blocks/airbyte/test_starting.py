"""One start is one job, whatever happens to the answer, and a job that runs is adopted."""

import time
from typing import Any

import pytest

from blocks.airbyte.api import Job
from blocks.airbyte.client import AirbyteClient
from blocks.airbyte.errors import AirbyteUnavailable, ConnectionInactive
from tests.integration.blocks.airbyte.server import CONNECTION, INACTIVE, PUBLIC, Server, a_moment


def newest(client: AirbyteClient) -> int:
    job = client.newest_job(CONNECTION)
    return job.job_id if job else 0


def test_a_sync_moves_rows_and_its_report_counts_them(server: Server, airbyte: AirbyteClient, s3: Any) -> None:
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

"""Whatever callers do and in whatever order, jobs change as Airbyte's change and no connection has two at once."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from services.airbyte.jobs.model import ALLOWED_CHANGES, TERMINAL, JobStatus
from tests.integration.airbyte.running_mock import CONNECTION, V1, Mock, Start
from tests.integration.airbyte.test_airbyte_resources import connect

STUCK = {"stuck_pending": "pending", "stuck_queued": "queued", "stuck_running": "running"}
MAX_ATTEMPTS = 3


def reachable(status: JobStatus) -> set[JobStatus]:
    """Every status that may be seen after this one, however many changes lie between."""
    seen, new = {status}, {status}
    while new := {after for each in new for after in ALLOWED_CHANGES[each]} - seen:
        seen |= new
    return seen


class Jobs(RuleBasedStateMachine):
    """Of the jobs that this run made: the last status seen, in the order of creation."""

    def __init__(self, mock: Mock) -> None:
        super().__init__()
        self.mock = mock
        self.seen: dict[int, JobStatus] = {}
        self.stuck: tuple[int, str] | None = None

    def teardown(self) -> None:
        self.mock.http.delete("/_mock/faults")
        for job_id, status in self.seen.items():
            if status not in TERMINAL:
                self.mock.wait(job_id)

    def post(self, job_type: str) -> Any:
        return self.mock.http.post(f"{V1}/jobs", json={"connectionId": CONNECTION, "jobType": job_type})

    def created(self, job: dict[str, Any]) -> int:
        assert job["status"] == "pending"
        self.seen[job["jobId"]] = JobStatus.PENDING
        return int(job["jobId"])

    @precondition(lambda self: self.stuck is None)
    @rule(kind=st.sampled_from(sorted(STUCK)), job_type=st.sampled_from(["sync", "RESET", "clear"]))
    def start_one_that_stays(self, kind: str, job_type: str) -> None:
        self.mock.fault(kind=kind, times=1)
        job_id = self.created(self.post(job_type).json())
        self.mock.wait(job_id, STUCK[kind])
        self.stuck = (job_id, STUCK[kind])

    @precondition(lambda self: self.stuck is None)
    @rule(failing=st.integers(0, MAX_ATTEMPTS))
    def start_one_whose_first_attempts_fail(self, failing: int) -> None:
        fault = {"kind": "fail_attempts", "attempts": failing} if failing else {"kind": "zero_rows"}
        self.mock.fault(**fault, times=1)
        job = self.mock.wait(job_id := self.created(self.post("sync").json()))
        assert job["status"] == ("succeeded" if failing < MAX_ATTEMPTS else "failed")
        attempts = [attempt["status"] for attempt in self.mock.attempts(job_id)]
        assert attempts == ["failed"] * failing + ["succeeded"] * (failing < MAX_ATTEMPTS)

    @precondition(lambda self: self.stuck is None)
    @rule(fault=st.sampled_from([("fail", "failed"), ("cancelled", "cancelled")]))
    def start_one_that_ends_badly(self, fault: tuple[str, str]) -> None:
        self.mock.fault(kind=fault[0], times=1)
        assert self.mock.wait(self.created(self.post("sync").json()))["status"] == fault[1]

    @precondition(lambda self: self.stuck is not None)
    @rule()
    def ask_for_a_second_sync(self) -> None:
        """Refused; or the first, while that waits for capacity."""
        assert self.stuck
        answer = self.post("sync")
        if self.stuck[1] == "queued":
            assert (answer.status_code, answer.json()["jobId"]) == (200, self.stuck[0])
        else:
            assert (answer.status_code, answer.json()["title"]) == (409, "try-again-later")

    @precondition(lambda self: self.stuck is not None)
    @rule(job_type=st.sampled_from(["reset", "Clear"]))
    def clear_while_one_runs(self, job_type: str) -> None:
        assert self.stuck
        job = self.post(job_type).json()
        assert job["jobType"] == "reset"
        assert self.mock.job(self.stuck[0])["status"] == "cancelled"
        assert self.mock.wait(self.created(job))["status"] == "succeeded"
        self.stuck = None

    @precondition(lambda self: self.stuck is not None)
    @rule()
    def let_it_go_on(self) -> None:
        assert self.stuck
        self.mock.http.delete("/_mock/faults")
        assert self.mock.wait(self.stuck[0])["status"] == "succeeded"
        self.stuck = None

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def cancel_any(self, data: st.DataObject) -> None:
        """Of a job that has ended: it is unchanged, and what runs on its connection is cancelled."""
        job_id = data.draw(st.sampled_from(list(self.seen)))
        before = self.mock.job(job_id)
        answer = self.mock.http.delete(f"{V1}/jobs/{job_id}")
        assert answer.status_code == 200
        if before["status"] in TERMINAL:
            assert answer.json() == before
        else:
            assert answer.json()["status"] == "cancelled"
        if self.stuck:
            assert self.mock.job(self.stuck[0])["status"] == "cancelled"
            self.stuck = None

    @invariant()
    def statuses_change_as_airbytes_do_and_one_job_at_most_is_active(self) -> None:
        for job_id, last in self.seen.items():
            status = JobStatus(self.mock.job(job_id)["status"])
            assert status in reachable(last)
            self.seen[job_id] = status
            running = [attempt for attempt in self.mock.attempts(job_id) if attempt["status"] == "running"]
            assert len(running) == (status is JobStatus.RUNNING)
        active = [job_id for job_id, status in self.seen.items() if status not in TERMINAL]
        assert active == ([self.stuck[0]] if self.stuck else [])

    @invariant()
    def the_list_has_them_all_in_the_order_of_creation(self) -> None:
        newest = self.mock.http.get(f"{V1}/jobs?orderBy=createdAt|DESC&limit=100").json()["data"]
        assert [job["jobId"] for job in newest[: len(self.seen)]] == list(self.seen)[::-1]


def test_jobs_keep_to_airbytes_states_over_any_sequence_of_calls(mock: Mock) -> None:
    sequences = settings(stateful_step_count=12)
    run_state_machine_as_test(lambda: Jobs(mock), settings=sequences)


@pytest.mark.parametrize("status", ["pending", "queued", "running", "incomplete", "succeeded", "failed", "cancelled"])
def test_a_job_may_be_cancelled_in_every_state_and_the_connection_is_free_again(start: Start, status: str) -> None:
    faults: dict[str, dict[str, Any]] = {
        "incomplete": {"kind": "fail_attempts"},
        "failed": {"kind": "fail"},
        "cancelled": {"kind": "cancelled"},
        "succeeded": {"kind": "zero_rows"},
    }
    with start(retry_delay=600) as mock:
        mock.fault(**faults.get(status, {"kind": f"stuck_{status}"}), times=1)
        job = mock.wait(mock.start()["jobId"], status)
        answer = mock.http.delete(f"{V1}/jobs/{job['jobId']}")
        ended = status in ("succeeded", "failed")
        assert (answer.status_code, answer.json()["status"]) == (200, status if ended else "cancelled")
        assert mock.sync()["status"] == "succeeded"
        assert mock.job(job["jobId"])["status"] == (status if ended else "cancelled")


def test_a_job_that_waits_for_its_next_attempt_lets_others_run(start: Start) -> None:
    with start(retry_delay=600, max_running_jobs=1) as mock:
        mock.fault(kind="fail_attempts", times=1)
        waiting = mock.wait(mock.start()["jobId"], "incomplete")
        body = {"connectionId": connect(mock)["connectionId"], "jobType": "sync"}
        other = mock.http.post(f"{V1}/jobs", json=body).json()["jobId"]
        assert mock.wait(other)["status"] == "succeeded"
        assert mock.job(waiting["jobId"])["status"] == "incomplete"


def test_a_job_waits_longer_before_each_further_attempt(start: Start) -> None:
    with start(retry_delay=0.3) as mock:
        mock.fault(kind="fail_attempts", attempts=2, times=1)
        job = mock.sync()
        first, second, third = mock.http.app.state.mock.store.attempts(job["jobId"])  # type: ignore[attr-defined]
    assert second.created_at - first.ended_at >= 300_000
    assert third.created_at - second.ended_at >= 600_000

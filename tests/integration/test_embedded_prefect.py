"""Prefect's server on SQLite, asked for many things at once."""

from concurrent.futures import ThreadPoolExecutor

import httpx
from prefect import get_client

from commands.embedded.prefect_server import WRITES

AT_ONCE, ROUNDS = 8, 15
SLOT = {"names": ["no-such-limit"], "slots": 1, "mode": "concurrency"}


def test_the_embedded_server_does_not_refuse_slots_to_writers_that_meet(prefect_server: str) -> None:
    def write(_: int) -> list[int]:
        with httpx.Client(base_url=f"{prefect_server}/api", timeout=60, trust_env=False) as client:
            found = []
            for _ in range(ROUNDS):
                client.post("artifacts/", json={"key": "writers-meet"})
                found.append(client.post(f"v2/concurrency_limits{WRITES}", json=SLOT).status_code)
            return found

    with ThreadPoolExecutor(AT_ONCE) as writers:
        answers = [status for statuses in writers.map(write, range(AT_ONCE)) for status in statuses]
    assert set(answers) == {200}


def test_a_request_whose_transaction_contains_another_is_answered(prefect_server: str) -> None:
    with get_client(sync_client=True) as client:
        queue = client.create_work_queue("nested-transactions")
        client.update_work_queue(queue.id, is_paused=True)
        assert client.read_work_queue(queue.id).is_paused
        client.delete_work_queue_by_id(queue.id)

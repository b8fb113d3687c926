"""Prefect's server on SQLite, asked for many things at once."""

from concurrent.futures import ThreadPoolExecutor

import httpx

AT_ONCE, ROUNDS = 8, 15
SLOT = {"names": ["no-such-limit"], "slots": 1, "mode": "concurrency"}


def test_the_embedded_server_does_not_refuse_writers_that_meet(prefect_server: str) -> None:
    def write(_: int) -> list[int]:
        with httpx.Client(base_url=f"{prefect_server}/api", timeout=60, trust_env=False) as client:
            requests = [("artifacts/", {"key": "writers-meet"}), ("v2/concurrency_limits/increment-with-lease", SLOT)]
            return [client.post(path, json=body).status_code for _ in range(ROUNDS) for path, body in requests]

    with ThreadPoolExecutor(AT_ONCE) as writers:
        answers = [status for statuses in writers.map(write, range(AT_ONCE)) for status in statuses]
    assert set(answers) == {200, 201}

"""kill -9 at many points of a sync: of the server, and of its worker. No row is lost and none is doubled."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from services.airbyte.settings import Settings
from tests.integration.airbyte.running_mock import CONNECTION, V1, Landing, Mock

FILES, ROWS, KILLS = 36, 50, 8
FIELDS = ("config", "lake_dir", "state_dir", "s3_endpoint_url", "s3_region")
SECRETS = {"s3_access_key_id": "test", "s3_secret_access_key": "test"}


class Server:
    """The mock in a process of its own, on a port, a lake and a state that outlive it."""

    def __init__(self, settings: Settings) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        values = {name: str(getattr(settings, name)) for name in FIELDS} | SECRETS
        values |= {"port": str(self.port), "max_attempts": "50", "retry_delay": "0.01"}
        self._environment = os.environ | {f"MOCK_AIRBYTE_{name.upper()}": value for name, value in values.items()}
        self.lake = settings.lake_dir

    @contextmanager
    def running(self) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
        command = [sys.executable, "-m", "services.airbyte"]
        process = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{self.port}") as http:
                _until(lambda: _is_up(http))
                yield process, http
        finally:
            process.kill()
            process.wait()

    def loaded_files(self) -> int:
        return sum(not path.name.startswith("_schema-") for path in (self.lake / "orders").glob("*.parquet"))


@pytest.fixture
def server(make_settings: Callable[..., Settings], landing: Landing) -> Server:
    for file in range(FILES):
        ids = range(file * ROWS, (file + 1) * ROWS)
        landing.put(f"orders/{file:02}.csv", "id,name,price,at\n" + "".join(f"{n},n{n},{n},\n" for n in ids))
    return Server(make_settings())


def test_a_server_killed_at_many_points_goes_on_with_the_same_job(server: Server) -> None:
    job_id = 0
    for kill in range(KILLS):
        with server.running() as (process, http):
            job_id = job_id or _start(http)
            _until(lambda loaded=kill * 4: server.loaded_files() >= loaded)
            time.sleep(kill * 0.003)
            process.kill()
    with server.running() as (_, http):
        _check(server, http, job_id)


def test_a_worker_killed_at_many_points_is_followed_by_another_attempt(server: Server) -> None:
    with server.running() as (process, http):
        job_id = _start(http)
        for kill in range(1, KILLS):
            _until(lambda loaded=kill * 4: server.loaded_files() >= loaded)
            time.sleep(kill * 0.003)
            _kill_children(process.pid)
        _check(server, http, job_id)


def _check(server: Server, http: httpx.Client, job_id: int) -> None:
    """The one job ended well, says how many rows it moved, and every row is there once."""
    _until(lambda: http.get(f"{V1}/jobs/{job_id}").json()["status"] == "succeeded")
    assert http.get(f"{V1}/jobs/{job_id}").json()["rowsSynced"] == FILES * ROWS
    attempts = http.post("/api/v1/jobs/get", json={"id": job_id}).json()["attempts"]
    statuses = Counter(each["attempt"]["status"] for each in attempts)
    assert statuses["succeeded"] == 1
    assert statuses["failed"] >= KILLS // 2, "too few kills hit a running attempt"
    reader = Mock(http, server.lake)  # type: ignore[arg-type]
    assert [row[0] for row in reader.rows("id")] == list(range(FILES * ROWS))
    assert [path.name for path in (server.lake / "orders").glob(".*.tmp")] == []


def _start(http: httpx.Client) -> int:
    answer = http.post(f"{V1}/jobs", json={"connectionId": CONNECTION, "jobType": "sync"})
    return int(answer.json()["jobId"])


def _kill_children(pid: int) -> None:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    for child in listed.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


def _is_up(http: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return http.get(f"{V1}/health").status_code == 200
    return False


def _until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)

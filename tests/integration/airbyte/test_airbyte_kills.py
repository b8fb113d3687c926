"""kill -9 at every point of a sync where state changes, one after the other. No row is lost and none is doubled.

The points are enumerated: the server dies before its n-th statement that writes state, the worker before its n-th
change of a file or of Snowflake, for every n until a sync runs through without reaching its n.
`make test` takes a sample.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.airbyte.settings import Settings
from tests.integration.airbyte.running_mock import CONNECTION, V1, Landing, Mock
from tests.integration.airbyte.snowflake_destination import APPEND, DEDUP, OVERWRITE, Snowflake
from tests.integration.snowflake.emulator import Emulator, running_emulator

ROWS = 20
MOST_POINTS = 80
FIELDS = ("config", "lake_dir", "state_dir", "s3_endpoint_url", "s3_region")
SECRETS = {"s3_access_key_id": "test", "s3_secret_access_key": "test"}


def points(step: int) -> pytest.MarkDecorator:
    """The points at which to kill: one in `step`, and all of them where everything is tested."""
    every = pytest.param(range(1, MOST_POINTS), marks=pytest.mark.exhaustive)
    return pytest.mark.parametrize("points", [range(1, MOST_POINTS, step), every], ids=["a sample", "every"])


# Python runs this at the start of the server and of its fork server. Each kind of change is counted down in a file of
# its name, and whoever is about to make it dies when the file says 1.
COUNTDOWN = """
import gzip, json, os, signal, sqlite3, sys

ROOT = os.environ["COUNTDOWN_ROOT"]
WRITES = ("BEGIN", "INSERT", "UPDATE", "DELETE", "COMMIT")
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir")
SNOWFLAKE = ("PUT", "COPY", "INSERT", "DELETE", "COMMIT")
counting = False

def count(kind):
    global counting
    counting = True
    file_name = os.path.join(ROOT, kind)
    try:
        with open(file_name) as file:
            left = int(file.read())
        if left == 1:
            os.unlink(file_name)
            os.kill(os.getpid(), signal.SIGKILL)
        with open(file_name, "w") as file:
            file.write(str(left - 1))
    except FileNotFoundError:
        pass
    finally:
        counting = False

def on_statement(sql):
    if sql.startswith(WRITES):
        count("server")
    if sql.startswith("INSERT INTO read_files"):
        count("record")

def on_event(event, arguments):
    if counting:
        return
    if event in CHANGES and str(arguments[0]).startswith(ROOT):
        count("worker")
    elif event == "http.client.send" and arguments[1].startswith(b"\\x1f\\x8b"):
        if json.loads(gzip.decompress(arguments[1])).get("sqlText", "").startswith(SNOWFLAKE):
            count("snowflake")

def connect(database, *arguments, connect=sqlite3.connect, **options):
    connection = connect(database, *arguments, **options)
    if str(database).endswith("state.sqlite"):
        connection.set_trace_callback(on_statement)
    return connection

if "forkserver" in sys.orig_argv[-1]:
    sys.addaudithook(on_event)  # its copies, the workers, have it too
else:
    sqlite3.connect = connect
"""


class Server:
    """The mock in a process of its own, on a port, a lake and a state that outlive it, with a countdown to its end."""

    def __init__(self, settings: Settings, root: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (root / "startup").mkdir()
        (root / "startup" / "sitecustomize.py").write_text(COUNTDOWN)
        values = {name: str(getattr(settings, name)) for name in FIELDS} | SECRETS
        values |= {"port": str(self.port), "max_attempts": "500", "retry_delay": "0.01"}
        self._environment = os.environ | {f"MOCK_AIRBYTE_{name.upper()}": value for name, value in values.items()}
        path = os.pathsep.join([str(root / "startup"), os.environ.get("PYTHONPATH", "")])
        self._environment |= {"COUNTDOWN_ROOT": str(root), "PYTHONPATH": path}
        self._root = root
        self.lake = settings.lake_dir

    def require(self, credentials: dict[str, str]) -> None:
        self._environment |= {f"MOCK_AIRBYTE_{name.upper()}": value for name, value in credentials.items()}

    def arm(self, kind: str, point: int) -> Path:
        """Let server or worker die at the `point`-th change of the kind from now on; the file is gone when it has.

        Kinds are "server" (a write of its state), "record" (of a file that was loaded), "worker" (a change of a file)
        and "snowflake" (a worker's statement that changes something there).
        """
        (countdown := self._root / kind).write_text(str(point))
        return countdown

    @contextmanager
    def running(self) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
        command = [sys.executable, "-m", "services.airbyte"]
        process = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{self.port}") as http:
                _until(lambda: process.poll() is not None or _is_up(http))
                yield process, http
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def server(request: pytest.FixtureRequest, make_settings: Callable[..., Settings], tmp_path: Path) -> Server:
    return Server(make_settings(mode=getattr(request, "param", "incremental_append")), tmp_path)


@points(step=7)
def test_a_server_killed_before_any_write_of_its_state_goes_on_with_the_same_job(
    server: Server, landing: Landing, points: range
) -> None:
    for landed, point in enumerate(points, start=1):
        _land(landing, landed)
        countdown = server.arm("server", point)
        with server.running() as (process, http), contextlib.suppress(httpx.TransportError):
            _start(http)
            _until(lambda: process.poll() is not None or _is_idle(http))
        if countdown.exists():
            break
    else:
        raise AssertionError("there is no end to the points")
    countdown.unlink()
    assert point > 15, "a sync writes its state more often than that"
    with server.running() as (_, http):
        _check(server, http, landed)
        assert any("failed" in statuses for statuses in _attempts(http)), "no kill hit a running attempt"


@points(step=7)
def test_a_worker_killed_before_any_change_of_a_file_is_followed_by_another_attempt(
    server: Server, landing: Landing, points: range
) -> None:
    with server.running() as (_, http):
        syncs = _kill_workers(server, http, points, lambda sync: _land(landing, sync))
        _check(server, http, syncs)


@points(step=7)
@pytest.mark.parametrize("server", ["full_refresh_overwrite"], indirect=True)
def test_a_worker_killed_anywhere_in_an_overwriting_sync_leaves_the_newest_generation_alone(
    server: Server, landing: Landing, points: range
) -> None:
    with server.running() as (_, http):
        syncs = _kill_workers(server, http, points, lambda _: _land(landing, 1))
        _check(server, http, 1, syncs=syncs)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@points(step=3)
@pytest.mark.parametrize(
    "mode", [DEDUP, *(pytest.param(each, marks=pytest.mark.exhaustive) for each in (APPEND, OVERWRITE))]
)
def test_a_kill_before_any_change_of_snowflake_or_before_its_record_neither_loses_nor_doubles_a_row(
    server: Server, landing: Landing, emulator: Emulator, mode: str, points: range
) -> None:
    warehouse, ids = Snowflake(emulator, landing.bucket.replace("-", "_")), range(ROWS)

    def land(sync: int) -> None:
        """All files have the same keys; one that is overwritten is a new version."""
        name = "all" if mode == OVERWRITE else f"{sync:03}"
        landing.put(f"orders/{name}.csv", "id,name,price,at\n" + "".join(f"{n},n{sync},{n},\n" for n in ids))

    def check(sync: int) -> None:
        versions = range(1 if mode == APPEND else sync, sync + 1)
        found = warehouse.rows("SELECT name, id FROM orders")
        assert sorted(found) == sorted((f"n{version}", n) for version in versions for n in ids)

    with server.running() as (process, http):
        connection = warehouse.connect(Mock(http, server.lake), mode)
        syncs = _kill_workers(server, http, points, land, "snowflake", connection, check)
        land(syncs + 1)
        server.arm("record", 1)
        _start(http, connection)
        _until(lambda: process.poll() is not None)
    with server.running() as (_, http):
        _until(lambda: _is_idle(http))
        jobs = _jobs(http)
        assert [(job["status"], job["rowsSynced"]) for job in jobs] == [("succeeded", ROWS)] * (syncs + 1)
        assert _attempts(http)[-1] == ["failed", "succeeded"]
    check(syncs + 1)


@pytest.mark.exhaustive
def test_a_token_that_was_given_out_is_good_after_any_kill(server: Server) -> None:
    server.require({"client_id": "me", "client_secret": "s3cret"})
    tokens: list[str] = []
    for point in range(1, MOST_POINTS):
        countdown = server.arm("server", point)
        with server.running() as (_, http), contextlib.suppress(httpx.TransportError):
            answer = http.post(f"{V1}/applications/token", json={"client_id": "me", "client_secret": "s3cret"})
            tokens.append(answer.raise_for_status().json()["access_token"])
            assert {_jobs_with(http, token) for token in tokens} == {200}
            assert _jobs_with(http, "another") == 401
        if countdown.exists():
            break
    else:
        raise AssertionError("there is no end to the points")
    countdown.unlink()
    assert point > 2, "a token is written by more statements than that"


def _jobs_with(http: httpx.Client, token: str) -> int:
    return http.get(f"{V1}/jobs", headers={"Authorization": f"Bearer {token}"}).status_code


def _kill_workers(
    server: Server,
    http: httpx.Client,
    points: range,
    land: Callable[[int], None],
    kind: str = "worker",
    connection: str = CONNECTION,
    check: Callable[[int], None] = lambda _: None,
) -> int:
    """One sync for each point, between `land` and `check`; their number. The last of them had no such point."""
    for sync, point in enumerate(points, start=1):
        land(sync)
        countdown = server.arm(kind, point)
        _start(http, connection)
        _until(lambda: _is_idle(http))
        check(sync)
        if countdown.exists():
            break
    else:
        raise AssertionError("there is no end to the points")
    countdown.unlink()
    assert point > {"worker": 8, "snowflake": 4}[kind], "a sync changes more than that"
    assert _attempts(http) == [["failed", "succeeded"]] * (sync - 1) + [["succeeded"]]
    return sync


def _land(landing: Landing, number: int) -> None:
    ids = range((number - 1) * ROWS, number * ROWS)
    landing.put(f"orders/{number:03}.csv", "id,name,price,at\n" + "".join(f"{n},n{n},{n},\n" for n in ids))


def _check(server: Server, http: httpx.Client, landed: int, syncs: int = 1) -> None:
    """All jobs ended well, say how many rows they moved in so many `syncs` of each, and every row is there once."""
    _until(lambda: _is_idle(http))
    jobs = _jobs(http)
    assert {job["status"] for job in jobs} == {"succeeded"}
    assert sum(job["rowsSynced"] for job in jobs) == ROWS * landed * syncs
    reader = Mock(http, server.lake)  # type: ignore[arg-type]
    assert [row[0] for row in reader.rows("id")] == list(range(ROWS * landed))
    assert [path.name for path in (server.lake / "orders").glob(".*.tmp")] == []


def _jobs(http: httpx.Client) -> list[dict[str, Any]]:
    return list(http.get(f"{V1}/jobs", params={"limit": 100}).json()["data"])


def _is_idle(http: httpx.Client) -> bool:
    return all(job["status"] in ("succeeded", "failed", "cancelled") for job in _jobs(http))


def _attempts(http: httpx.Client) -> list[list[str]]:
    answers = [http.post("/api/v1/jobs/get", json={"id": job["jobId"]}).json() for job in _jobs(http)]
    return [[each["attempt"]["status"] for each in answer["attempts"]] for answer in answers]


def _start(http: httpx.Client, connection: str = CONNECTION) -> None:
    """A new job, or the one that the last server left behind."""
    answer = http.post(f"{V1}/jobs", json={"connectionId": connection, "jobType": "sync"})
    assert answer.status_code in (200, 409)


def _is_up(http: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return http.get(f"{V1}/health").status_code == 200
    return False


def _until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)

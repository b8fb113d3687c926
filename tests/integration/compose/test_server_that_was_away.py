"""A Prefect server that was away for long finds the runs that died meanwhile, so that they are retried."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Running

from blocks.attempts import NO_SIGN
from blocks.names import Names
from commands.embedded.processes import Processes, free_ports
from services.bootstrap.automations import automations, values
from services.bootstrap.pages import ask
from services.bootstrap.prefect_yaml import PROJECT

NAMES = Names("away")
BUFFER = "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER"
DEADLINE = 120


@contextmanager
def server(folder: Path) -> Iterator[SyncPrefectClient]:
    """A server that is set up as the one of Compose, until the end of the block; its state stays in the folder."""
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
    url = f"http://127.0.0.1:{(port := free_ports(1)[0])}"
    variables = {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db",
        BUFFER: compose["services"]["prefect-server"]["environment"][BUFFER],
    }
    with Processes(folder / "logs") as processes:
        processes.start("prefect", ["-m", "commands.embedded.prefect_server", str(port)], variables)
        processes.wait_until_ready("prefect", f"{url}/api/health")
        with temporary_settings({PREFECT_API_URL: f"{url}/api"}), get_client(sync_client=True) as client:
            yield client


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def expire(folder: Path) -> int:
    """Have the windows of the automations end an hour ago; how many there are."""
    ended = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%d %H:%M:%S.%f}"
    with closing(sqlite3.connect(folder / "prefect.db", timeout=30)) as database, database:
        return database.execute('update automation_bucket set start = ?, "end" = ?', (ended, ended)).rowcount


@pytest.mark.exhaustive
def test_a_run_that_died_while_the_server_was_away_for_an_hour_is_found(tmp_path: Path) -> None:
    with server(tmp_path) as client:
        ask(client, "POST", "/automations/", {**values(automations(NAMES)[0]), "enabled": True})
        flow_id = client.create_flow_from_name("work")
        body = {"flow_id": str(flow_id), "tags": [NAMES.tag], "state": {"type": "PENDING"}}
        run = ask(client, "POST", "/flow_runs/", body)["id"]
        client.set_flow_run_state(run, Running())
        until(lambda: windows(tmp_path))
    assert expire(tmp_path)
    with server(tmp_path) as client:
        until(lambda: client.read_flow_run(run).state_name == "Crashed")
        state = client.read_flow_run(run).state
        assert state is not None
        assert (state.message or "").startswith(NO_SIGN)


def windows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "prefect.db", timeout=30)) as database:
        return int(database.execute("select count(*) from automation_bucket").fetchone()[0])

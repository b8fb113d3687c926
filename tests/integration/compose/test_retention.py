"""Prefect's database stays as large as the runs of the days that the profile wants kept."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from commands.compose.command_line import KEEP_DAYS, RETENTION
from commands.compose.profile import COMPOSE_FILE
from commands.embedded.processes import Processes, free_ports
from services.testing.running import unless_busy

pytestmark = pytest.mark.exhaustive
SECONDS = 120


@pytest.fixture
def server(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a server with Compose's settings for old runs, which looks for them every 5 s."""
    declared = yaml.safe_load(COMPOSE_FILE.read_text())["services"]["prefect-server"]["environment"]
    settings = {name: value for name, value in declared.items() if re.search("DB_VACUUM", name) and value}
    assert settings
    assert RETENTION in declared
    port = str(free_ports(1)[0])
    fast = {RETENTION: str(KEEP_DAYS * 86400), "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "5"}
    home = {"PREFECT_HOME": str(tmp_path), "PREFECT_UI_STATIC_DIRECTORY": str(tmp_path / "ui")}
    with Processes(tmp_path / "logs") as processes:
        app = ["-m", "uvicorn", "--factory", "services.prefect_app:create_app", "--port", port]
        processes.start("prefect", app, {**settings, **fast, **home})
        processes.wait_until_ready("prefect", f"http://127.0.0.1:{port}/api/health")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", trust_env=False, timeout=30) as client:
            yield client


def test_runs_that_ended_before_the_kept_days_go_with_their_logs_and_the_others_stay(
    server: httpx.Client, tmp_path: Path
) -> None:
    flow = ask(server, "/flows/", {"name": "old"})["id"]
    old = [ended(server, tmp_path, flow, days=KEEP_DAYS + 1 + each) for each in range(10)]
    kept = [ended(server, tmp_path, flow, days=each) for each in range(3)]
    for run in (*old, *kept):
        line = {
            "flow_run_id": run,
            "name": "a",
            "level": 20,
            "message": "x",
            "timestamp": datetime.now(UTC).isoformat(),
        }
        assert server.post("/logs/", json=[line]).is_success
    deadline = time.monotonic() + SECONDS
    while (there := {each["id"] for each in ask(server, "/flow_runs/filter", {})}) != {*kept}:
        assert time.monotonic() < deadline, len(there)
        time.sleep(0.5)
    while {each["flow_run_id"] for each in ask(server, "/logs/filter", {})} != {*kept}:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def ended(server: httpx.Client, home: Path, flow: str, days: int) -> str:
    """Make a run that completed some days ago; its id."""
    run: str = ask(server, "/flow_runs/", {"flow_id": flow})["id"]
    ask(server, f"/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
    at = (datetime.now(UTC) - timedelta(days=days)).replace(tzinfo=None).isoformat(" ")
    with closing(sqlite3.connect(home / "prefect.db", timeout=60)) as database, database:
        database.execute("update flow_run set end_time = ? where id = ?", (at, run))
    return run


def ask(server: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    """POST a body; the answer."""
    return unless_busy(lambda: server.post(path, json=body)).json()

"""Two Prefect servers and three workers at work; one of each is lost, as a machine is."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.testing import Platform
from services.testing.fixtures import owner

RUNS = 12
FLOW = '''
import socket
import time

from prefect import flow


@flow(flow_run_name=socket.gethostname)
def small(profile: str | None = None) -> None:
    """Be at work for a while; the run is called as the container that it runs in."""
    time.sleep(20)
'''
DEPLOYMENT = "  - {name: small, entrypoint: 'flows/small.py:small', work_pool: {name: local}}\n"


@pytest.fixture(scope="module")
def platform(project: Path, pytestconfig: pytest.Config) -> Iterator[Platform]:
    """Prefect's part of the platform as `docker-compose.scale.yml` has it, with a small flow more."""
    (project / "flows" / "small.py").write_text(FLOW)
    with (project / "prefect.yaml").open("a") as file:
        file.write(DEPLOYMENT)
    text = (project / "profiles" / "local.env").read_text()
    text = re.sub(r"^PROFILE=.*", "PROFILE=scaled", text, flags=re.MULTILINE)
    text = re.sub(r"^COMPOSE_PROFILES=.*", "COMPOSE_PROFILES=prefect,scale", text, flags=re.MULTILINE)
    (project / "profiles" / "scaled.env").write_text(text)
    scaled = Platform(project, profile="scaled", owner=owner(pytestconfig))
    scaled.services = ["worker", "prefect-replica", "prefect-services"]
    with scaled as running:
        yield running


def runs(platform: Platform) -> list[dict[str, Any]]:
    """The runs of the small flow."""
    return platform.flow_runs("small/small")


def busy_worker(platform: Platform) -> str | None:
    """The container of a worker both of whose slots are at work; None for not yet."""
    at_work = Counter(run["name"] for run in runs(platform) if run["state_type"] == "RUNNING")
    return next((container for container, count in at_work.items() if count == 2), None)


def states(platform: Platform, run: dict[str, Any]) -> list[str]:
    """All states that a run has been in, by name."""
    return [state["name"] for state in platform.prefect("GET", f"flow_run_states/?flow_run_id={run['id']}")]


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
def test_a_server_and_a_worker_killed_under_load_cost_no_run_and_end_none_twice(platform: Platform) -> None:
    for _ in range(RUNS):
        platform.start_run("small/small")
    victim = platform.eventually(lambda: busy_worker(platform), "a worker with two runs", seconds=300)
    subprocess.run(["docker", "kill", victim], check=True, capture_output=True)
    platform.kill("prefect-replica")
    interrupted = {run["id"] for run in runs(platform) if run["name"] == victim and run["state_type"] == "RUNNING"}

    def ended() -> list[dict[str, Any]] | None:
        found = runs(platform)
        return found if all(run["state_type"] == "COMPLETED" for run in found) else None

    after = platform.eventually(ended, "the completion of every run", seconds=600)
    assert len(after) == RUNS
    assert interrupted
    assert {run["id"] for run in after if run["run_count"] > 1} >= interrupted
    assert [states(platform, run).count("Completed") for run in after] == [1] * RUNS

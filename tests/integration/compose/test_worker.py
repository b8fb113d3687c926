"""A worker of the platform outlives the processes of its runs, whatever becomes of these."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.states import AwaitingRetry

from blocks.attempts import ATTEMPTS
from blocks.names import Names
from services.bootstrap.automations import FREQUENCY, automations
from services.bootstrap.prefect_yaml import PROJECT
from services.worker import numbered

NAMES = Names("killed")
POOL = NAMES.name("local")
FLOW = '''
import json, os, pathlib, time
from prefect import flow

@flow
def work(folder: str, kill: int = 0):
    """Note each attempt; be killed in the first ones, or stay until a file is there."""
    here = pathlib.Path(folder)
    attempt = len(list(here.glob("attempt-*"))) + 1
    (here / f"attempt-{attempt}").write_text(json.dumps({"frequency": os.environ.get("%s")}))
    if attempt <= kill:
        os.kill(os.getpid(), 9)
    while not (here / "go").exists():
        time.sleep(0.1)
'''


@pytest.fixture(scope="module")
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        silent = client.create_automation(automations(NAMES)[0])
        yield client
        client.delete_automation(silent)
        client.delete_work_pool(POOL)


@pytest.fixture(scope="module")
def deployment(client: SyncPrefectClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UUID]:
    file = tmp_path_factory.mktemp("flow") / "work.py"
    file.write_text(FLOW % FREQUENCY)
    made = client.create_deployment(
        client.create_flow_from_name("work"),
        "work",
        work_pool_name=POOL,
        tags=[NAMES.tag],
        entrypoint=f"{file}:work",
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(file.parent)}}],
        job_variables={"env": {FREQUENCY: "30"}},
    )
    yield made
    client.delete_deployment(made)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worker's /tmp."""
    return tmp_path_factory.mktemp("tmp")


@pytest.fixture(scope="module")
def worker(client: SyncPrefectClient, deployment: UUID, temporary: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "services.worker", "--pool", "local", "--limit", "2", "--name", "w", "--can-drain"]
    variables = {"PREFECT_NAMESPACE": NAMES.namespace, "PREFECT_WORKER_QUERY_SECONDS": "1", "TMPDIR": str(temporary)}
    process = subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **variables})
    yield process
    process.terminate()
    process.wait(60)


def eventually(what: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_run_whose_process_is_killed_beside_a_living_worker_is_retried_up_to_a_limit(
    client: SyncPrefectClient, deployment: UUID, worker: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    once, always = tmp_path / "once", tmp_path / "always"
    runs = []
    for folder, kill in ((once, 1), (always, 99)):
        folder.mkdir()
        (folder / "go").touch()
        parameters = {"folder": str(folder), "kill": kill}
        runs.append(client.create_flow_run_from_deployment(deployment, parameters=parameters).id)
    eventually(lambda: client.read_flow_run(runs[0]).state_name == "Completed")
    eventually((always / f"attempt-{ATTEMPTS}").exists)
    eventually(lambda: client.read_flow_run(runs[1]).state_name == "Crashed")
    assert len(list(once.glob("attempt-*"))) == 2
    assert len(list(always.glob("attempt-*"))) == ATTEMPTS
    assert worker.poll() is None


def test_a_run_that_is_retried_while_its_process_lives_waits_for_that_processs_end(
    client: SyncPrefectClient, deployment: UUID, worker: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    run = client.create_flow_run_from_deployment(
        deployment,
        parameters={"folder": str(tmp_path)},
        job_variables={"env": {FREQUENCY: "600"}},
    ).id
    eventually((tmp_path / "attempt-1").exists)
    heartbeats = json.loads((tmp_path / "attempt-1").read_text())["frequency"]
    assert heartbeats == "30", "the automation would crash a run that is silent for longer"
    client.set_flow_run_state(run, AwaitingRetry(), force=True)
    offered = client.read_work_queue_by_name("default", POOL).last_polled
    eventually(lambda: client.read_work_queue_by_name("default", POOL).last_polled != offered)
    offered = client.read_work_queue_by_name("default", POOL).last_polled
    eventually(lambda: client.read_work_queue_by_name("default", POOL).last_polled != offered)
    assert worker.poll() is None
    assert not (tmp_path / "attempt-2").exists()
    (tmp_path / "go").touch()
    eventually(lambda: client.read_flow_run(run).state_name == "Completed")
    assert worker.poll() is None


def test_a_worker_whose_end_is_prepared_lets_its_run_end_and_starts_no_other_until_that_is_given_up(
    client: SyncPrefectClient,
    deployment: UUID,
    worker: "subprocess.Popen[bytes]",
    temporary: Path,
    tmp_path: Path,
) -> None:
    folders = tmp_path / "before", tmp_path / "after"
    runs = []

    def start(folder: Path) -> None:
        folder.mkdir()
        made = client.create_flow_run_from_deployment(deployment, parameters={"folder": str(folder)})
        runs.append(made.id)

    def drain() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "services.drain"]
        return subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, env={"TMPDIR": str(temporary)})

    start(folders[0])
    eventually((folders[0] / "attempt-1").exists)
    with drain() as waiting:
        eventually((temporary / "worker-drain").exists)
        start(folders[1])
        (folders[0] / "go").touch()
        assert waiting.wait(60) == 0
    assert client.read_flow_run(runs[0]).state_name == "Completed"
    assert client.read_flow_run(runs[1]).state_name == "Scheduled"
    assert not list(folders[1].iterdir())

    with drain() as waiting:  # whoever waits may think better of it
        waiting.communicate(timeout=60)
    eventually((folders[1] / "attempt-1").exists)
    (folders[1] / "go").touch()
    eventually(lambda: client.read_flow_run(runs[1]).state_name == "Completed")


def test_a_worker_in_a_new_container_has_its_predecessors_name_and_each_of_several_its_own(tmp_path: Path) -> None:
    code = f"import services.worker, pathlib; print(services.worker.numbered('w', pathlib.Path({str(tmp_path)!r})))"
    command = [sys.executable, "-uc", f"{code}; input()"]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        assert first.stdout.readline() == "w-1\n"
        assert numbered("w", tmp_path) == "w-2"
        first.kill()
    assert numbered("w", tmp_path) == "w-1"

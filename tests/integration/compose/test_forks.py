"""A run's process that is forked behaves towards the worker as one that was started anew."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient

from blocks.connections import Connections
from services import forked
from services.bootstrap.prefect_yaml import PROJECT

FLOW = """
import os, pathlib, sys, time
from prefect import flow

@flow
def work(folder: str, end: str = ""):
    here = pathlib.Path(folder)
    (here / "parent").write_text(pathlib.Path(f"/proc/{os.getppid()}/cmdline").read_text())
    print("said", os.environ["SAID"], flush=True)
    (here / "process").write_text(str(os.getpid()))
    if end:
        sys.exit(int(end))
    while not (here / "go").exists():
        time.sleep(0.1)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux alone")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a server that has imported all it needs."""
    path = tmp_path_factory.mktemp("forks") / "s"
    command = [sys.executable, "-m", "services.fork_server", str(path)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE) as server:
        eventually(path.exists)
        yield path
        assert server.stdin
        server.stdin.close()
        assert server.wait(30) == 0


@pytest.fixture(scope="module")
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(client: SyncPrefectClient, path: Path, tmp_path: Path) -> Start:
    """Start the process of a run of the flow; the run is its `args`' last word."""
    file = tmp_path / "work.py"
    file.write_text(FLOW)
    made = client.create_deployment(client.create_flow_from_name("work"), "forked", entrypoint=f"{file}:work")

    def begin(socket: Path = path, **parameters: Any) -> "subprocess.Popen[bytes]":
        run = client.create_flow_run_from_deployment(made, parameters={"folder": str(tmp_path), **parameters}).id
        variables = {**os.environ, "PREFECT__FLOW_RUN_ID": str(run), "SAID": "so"}
        command = forked.command(str(socket))
        return subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    return begin


def eventually(what: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lives(process: int) -> bool:
    """Whether a process runs: one that has ended may wait for somebody to ask how."""
    status = Path(f"/proc/{process}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def process_of(folder: Path) -> int:
    file = folder / "process"
    eventually(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def test_a_run_has_its_own_environment_output_and_folder_and_ends_well(start: Start, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with start() as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert b"said so" in said
    assert "services.fork_server" in (tmp_path / "parent").read_text()
    eventually(lambda: not lives(process_of(tmp_path)))


@pytest.mark.exhaustive
def test_a_run_ends_with_the_code_that_it_has_where_it_is_started_anew(start: Start, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    codes = []
    for socket in ({}, {"socket": tmp_path / "nobody"}):
        for parameters in ({"end": "no number"}, {"folder": str(tmp_path / "missing")}, {"unknown": 1}):
            with start(**socket, **parameters) as process:
                process.communicate(timeout=120)
            codes.append(process.returncode)
    assert codes[:3] == codes[3:]
    assert set(codes) != {0}


def test_a_signal_to_end_reaches_the_run(start: Start, tmp_path: Path) -> None:
    with start() as process:
        run = process_of(tmp_path)
        process.terminate()
        said, _ = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGTERM, said
    eventually(lambda: not lives(run))


def test_a_run_that_is_killed_is_seen_to_be(start: Start, tmp_path: Path) -> None:
    with start() as process:
        os.kill(process_of(tmp_path), signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL


def test_a_run_ends_with_the_process_that_stands_for_it(start: Start, tmp_path: Path) -> None:
    with start() as process:
        run = process_of(tmp_path)
        process.kill()
    eventually(lambda: not lives(run))


def test_without_a_server_a_run_is_started_anew(start: Start, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with start(tmp_path / "nobody") as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "services.fork_server" not in (tmp_path / "parent").read_text()


@pytest.mark.exhaustive
def test_macros_are_compiled_under_the_texts_that_dbt_asks_for(tmp_path: Path) -> None:
    script = f"""
import services.fork_server
from dbt.cli.main import dbtRunner
from dbt_common.clients.jinja import template_cache
services.fork_server.compile_macros()
project = {str(PROJECT / "dbt_project")!r}
parsed = dbtRunner().invoke(["parse", "--project-dir", project, "--profiles-dir", project, "--quiet"]).result
texts = [macro.macro_sql for macro in parsed.macros.values() if macro.package_name in ("dbt", "dbt_duckdb")]
assert len(texts) > 300, len(texts)
assert set(texts) <= set(template_cache.file_cache)
"""
    variables = Connections(None).dbt().variables | {"DBT_TARGET_PATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, env={**os.environ, **variables}, check=True)

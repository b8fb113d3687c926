"""The commands of README and the manual, as they stand there, in a `make dev` with ports and a state of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from commands.embedded.processes import free_ports
from schedules.daily import DAILY_SCHEDULE
from tests import shell
from tests.readme import PROJECT, blocks

pytestmark = pytest.mark.timeout(1200)
START_SECONDS = 400.0
PREAMBLE, *COMMANDS = blocks("sh dev")
DROP = next(block for block in COMMANDS if "zephyr" in block)
SHORT = ("make drop", "make sql", "make status")
"""What the blocks have that `make test` tries. The others start runs or dbt, and take longer."""


@dataclass
class Dev:
    """A running `make dev`: its process, the folder given for its data, its ports."""

    process: subprocess.Popen[bytes]
    data: Path
    prefect_port: int

    def script(self, commands: str) -> str:
        """A shell script of README's commands, begun as README says, with this platform's folder for data/."""
        return (PREAMBLE + commands).replace("data/dev", str(self.data / "dev"))

    def run(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Run them to their end."""
        return shell.run(self.script(commands), PROJECT)

    def airlines(self) -> set[str]:
        """The airlines that readers see."""
        with duckdb.connect(str(self.published), read_only=True) as connection:
            return {carrier for (carrier,) in connection.execute("select carrier from dim_airlines").fetchall()}

    @property
    def published(self) -> Path:
        return self.data / "dev" / "published" / "warehouse.duckdb"

    def prefect(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask Prefect's server."""
        url = f"http://127.0.0.1:{self.prefect_port}/api/{path}"
        return httpx.request(method, url, json=body, trust_env=False).raise_for_status().json()

    def is_idle(self) -> bool:
        """Whether no flow run is at work, or about to be."""
        busy = {"state": {"type": {"any_": ["PENDING", "RUNNING"]}}}
        found: int = self.prefect("POST", "flow_runs/count", {"flow_runs": busy})
        return found == 0

    def daily(self) -> dict[str, Any]:
        """The daily deployment, as Prefect's server has it."""
        found: dict[str, Any] = self.prefect("GET", "deployments/name/full_pipeline/daily-full-pipeline")
        return found

    def run_daily(self) -> str:
        """Start a daily run now; its id."""
        return str(self.prefect("POST", f"deployments/{self.daily()['id']}/create_flow_run", {})["id"])

    def state(self, run: str) -> str:
        """The type of a run's state."""
        return str(self.prefect("GET", f"flow_runs/{run}")["state_type"])

    def planned(self) -> int:
        """How many runs the server has planned ahead."""
        only = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        return int(self.prefect("POST", "flow_runs/count", only))


def until(what: str, true: Callable[[], object], seconds: float = START_SECONDS) -> None:
    """Wait for something; fail with its name after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)


def drop_and_wait(dev: Dev) -> None:
    """Drop README's file, unless its commands did, and wait until its row is published."""
    if "ZZ" not in dev.airlines():
        dev.run(DROP).check_returncode()
    until("the sensor's run is published", lambda: "ZZ" in dev.airlines())


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("readme")
    prefect, s3, airbyte, console = free_ports(4)
    ports = ["--prefect-port", str(prefect), "--s3-port", str(s3), "--airbyte-port", str(airbyte)]
    ports += ["--console-port", str(console)]
    command = [sys.executable, "-m", "commands.embedded", "dev", *ports, "--data", str(folder)]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT)
    running = Dev(process, folder, prefect)
    try:
        until("make dev is up", lambda: process.poll() is not None or b"is up" in (folder / "output").read_bytes())
        assert process.poll() is None, (folder / "output").read_text()
        until("the sample files' tables are published", running.published.exists)
        yield running
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize(
    "commands",
    [
        pytest.param(each, marks=[] if any(verb in each for verb in SHORT) else pytest.mark.exhaustive)
        for each in COMMANDS
    ],
    ids=lambda commands: commands.splitlines()[0][:60],
)
def test_a_block_of_commands_works_as_it_stands(dev: Dev, commands: str) -> None:
    if "dbt " in commands:
        # A dropped file that the sensor has yet to see would start a run in the middle of dbt's.
        drop_and_wait(dev)
        until("no run has the warehouse open", dev.is_idle)
    done = dev.run(commands)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Unable to do partial parsing" not in done.stdout + done.stderr


def test_a_file_that_was_dropped_reaches_the_readers_by_itself(dev: Dev) -> None:
    drop_and_wait(dev)


@pytest.mark.exhaustive
@pytest.mark.parametrize("code", blocks("python dev"), ids=lambda code: code.splitlines()[0])
def test_a_block_of_python_works_as_it_stands(dev: Dev, code: str) -> None:
    dev.run("python -m blocks.connections --name production").check_returncode()
    done = dev.run(f"python - <<'END'\n{code}END\n")
    assert done.returncode == 0, done.stderr
    assert "Landing to the raw lake" in done.stdout


def test_the_daily_run_is_planned_ahead(dev: Dev) -> None:
    assert {each["schedule"]["cron"] for each in dev.daily()["schedules"] if each["active"]} == {DAILY_SCHEDULE.cron}
    until("the scheduler plans the daily run", dev.planned)


@pytest.mark.exhaustive
def test_of_two_daily_runs_at_once_the_second_is_cancelled(dev: Dev) -> None:
    runs = [dev.run_daily() for _ in range(2)]
    until("one is cancelled", lambda: "CANCELLED" in map(dev.state, runs))
    until("the other is done", lambda: sorted(map(dev.state, runs)) == ["CANCELLED", "COMPLETED"])


@pytest.mark.parametrize("commands", blocks("sh serve"), ids=str.strip)
def test_a_served_deployment_is_registered_while_its_process_stays(dev: Dev, commands: str) -> None:
    with subprocess.Popen(
        ["sh", "-euc", dev.script(f"exec {commands}")], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            # A served deployment has no work pool: its process runs it.
            until("it is served", lambda: process.poll() is not None or dev.daily()["work_pool_name"] is None)
            assert process.poll() is None
            assert [each["schedule"]["cron"] for each in dev.daily()["schedules"]] == [DAILY_SCHEDULE.cron]
        finally:
            process.terminate()
            process.communicate(timeout=60)


def test_ctrl_c_ends_it_and_leaves_nothing_behind(dev: Dev) -> None:
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(60) == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{dev.prefect_port}/api/health", trust_env=False)

"""The platform's image by itself, as `docker run` starts it."""

import subprocess

import httpx
import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HealthcheckWaitStrategy

from services.testing.fixtures import need_engine
from tests.e2e.conftest import build

IMAGE = "prefect-orchestration"
pytestmark = pytest.mark.exhaustive


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)


@pytest.fixture(scope="module", autouse=True)
def image() -> None:
    need_engine()
    build(IMAGE)


def test_a_flow_of_which_no_system_is_named_runs_on_embedded_ones() -> None:
    done = docker("run", "--rm", "--network=none", IMAGE, "python", "flows/full_pipeline.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded, 34,026 rows" in done.stderr
    assert "main.fct_flights 27,004" in done.stderr


def test_a_flow_of_which_a_system_is_named_goes_there_and_nowhere_else() -> None:
    there = ("--env", "AIRBYTE_SERVER_URL=http://127.0.0.1:9/api/public/v1", "--env", "AIRBYTE_CONNECTION_ID=")
    done = docker("run", "--rm", "--network=none", *there, IMAGE, "python", "flows/airbyte_sync.py")
    assert done.returncode == 1
    assert "AIRBYTE_CONNECTION_ID" in done.stderr
    assert "sample files" not in done.stderr


def test_without_a_command_it_is_prefects_server_with_its_ui() -> None:
    container = DockerContainer(IMAGE).waiting_for(HealthcheckWaitStrategy())
    container.ports = {"4200/tcp": ("127.0.0.1", 0)}
    with container:
        url = f"http://127.0.0.1:{container.get_exposed_port(4200)}"
        assert "<title>Prefect" in httpx.get(f"{url}/", trust_env=False).text
        assert container.exec(["id", "-u"]).output.strip() != b"0"

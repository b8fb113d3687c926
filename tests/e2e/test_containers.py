"""The mock Airbyte in a container of its own, beside a LocalStack; and what `docs/testing.md` shows of it."""

import gzip
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from blocks.airbyte.client import AirbyteClient
from services.testing import AirbyteContainer
from services.testing.platform import PROJECT
from tests.e2e.landing import flights

BUCKET = "my-data-lake-landing"
CONNECTION = "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10"
EXAMPLE = re.findall(r"^```python example\n(.*?)^```$", (PROJECT / "docs/testing.md").read_text(), re.M | re.S)[0]


@pytest.fixture(scope="module")
def network(mock_image: None) -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture(scope="module")
def s3(network: Network) -> Iterator[Any]:
    """A client of a LocalStack in the network, where it is called s3."""
    container = DockerContainer("localstack/localstack:4.14.0", network=network, network_aliases=["s3"])
    container.with_envs(SERVICES="s3", DISABLE_EVENTS="1").waiting_for(LogMessageWaitStrategy("Ready."))
    container.ports = {"4566/tcp": ("127.0.0.1", 0)}
    with container:
        yield boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{container.get_exposed_port(4566)}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


@pytest.fixture(scope="module")
def airbyte(network: Network, s3: Any) -> Iterator[AirbyteContainer]:
    with AirbyteContainer(network=network).with_s3("http://s3:4566", "test", "test") as running:
        yield running


def test_a_sync_moves_the_rows_of_localstacks_files(s3: Any, airbyte: AirbyteContainer) -> None:
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="inbound/flights/one.csv.gz", Body=gzip.compress(flights(1, count=7)))
    with AirbyteClient(airbyte.url) as client:
        job, _ = client.start_sync(CONNECTION)
        assert client.wait(job, timeout=60).rows_synced == 7
    query = "import duckdb; print(duckdb.sql(\"select count(*) from '/data/lake/flights/*.parquet'\").fetchall())"
    code, printed = airbyte.exec(["python", "-c", query])
    assert (code, printed.decode().strip()) == (0, "[(7,)]")


def test_the_container_is_not_root(airbyte: AirbyteContainer) -> None:
    assert airbyte.exec(["id", "-u"]).output.strip() != b"0"


def run_pytest(folder: Path, option: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a folder, with the fixtures that users get, in a pytest of their own."""
    (folder / "conftest.py").write_text('pytest_plugins = ["services.testing.fixtures"]\n')
    command = [sys.executable, "-m", "pytest", option, "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)


@pytest.mark.exhaustive
def test_the_example_of_the_documentation_passes(mock_image: None, tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(EXAMPLE)
    done = run_pytest(tmp_path, "-q")
    assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.exhaustive
def test_an_interrupted_test_leaves_no_container(mock_image: None, tmp_path: Path) -> None:
    (tmp_path / "test_interrupted.py").write_text(
        "def test_that_is_interrupted(airbyte):\n    print(airbyte.get_container_id())\n    raise KeyboardInterrupt\n"
    )
    done = run_pytest(tmp_path, "-qs")
    found = re.search(r"\b[0-9a-f]{64}\b", done.stdout)
    assert done.returncode == 2, done.stdout + done.stderr
    assert found, done.stdout + done.stderr
    inspected = subprocess.run(["docker", "inspect", found.group()], capture_output=True, check=False)
    assert inspected.returncode == 1


@pytest.mark.exhaustive
def test_a_platform_whose_test_process_was_killed_is_removed_by_pytest_itself(mock_image: None, tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "local.env").write_text("PROFILE=local\n")
    (tmp_path / "docker-compose.yml").write_text(
        "services: {one: {image: mock-airbyte, command: [sleep, '60'],\n"
        "  healthcheck: {test: [CMD, 'true'], interval: 1s}}}\n"
    )
    (tmp_path / "test_killed.py").write_text(
        "import os, pathlib, signal\n"
        "from services.testing import Platform\n"
        "def test_that_is_killed():\n"
        f"    with Platform(pathlib.Path({str(tmp_path)!r}), owner=os.getppid()) as platform:\n"
        f"        pathlib.Path({str(tmp_path / 'name')!r}).write_text(platform.name)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = run_pytest(tmp_path, "-n1")
    assert "crashed" in done.stdout, done.stdout + done.stderr
    name = (tmp_path / "name").read_text()
    listed = subprocess.run(["docker", "compose", "ls", "--all", "--quiet"], capture_output=True, text=True, check=True)
    assert name not in listed.stdout.split()

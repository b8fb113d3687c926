"""The mock Airbyte in a container of its own, beside a LocalStack; and what `docs/testing.md` shows of it."""

import gzip
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.network import Network
from testcontainers.localstack import LocalStackContainer

from blocks.airbyte import AirbyteClient
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
def localstack(network: Network) -> Iterator[LocalStackContainer]:
    container = LocalStackContainer("localstack/localstack:4.14.0", network=network, network_aliases=["s3"])
    container.with_services("s3").with_env("DISABLE_EVENTS", "1")
    container.ports = {"4566/tcp": ("127.0.0.1", None)}
    with container:
        yield container


@pytest.fixture(scope="module")
def airbyte(network: Network, localstack: LocalStackContainer) -> Iterator[AirbyteContainer]:
    with AirbyteContainer(network=network).with_s3("http://s3:4566", "test", "test") as running:
        yield running


def test_a_sync_moves_the_rows_of_localstacks_files(
    localstack: LocalStackContainer, airbyte: AirbyteContainer, tmp_path: Path
) -> None:
    s3 = localstack.get_client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="inbound/flights/one.csv.gz", Body=gzip.compress(flights(1, count=7)))
    with AirbyteClient(airbyte.url) as client:
        job, _ = client.start_sync(CONNECTION)
        assert client.wait(job, timeout=60).rows_synced == 7
    query = (
        "import duckdb; print(duckdb.sql(\"select count(*) from '/data/lake/inbound/flights/*.parquet'\").fetchall())"
    )
    code, printed = airbyte.exec(["python", "-c", query])
    assert (code, printed.decode().strip()) == (0, "[(7,)]")


def test_the_container_is_not_root(airbyte: AirbyteContainer) -> None:
    assert airbyte.exec(["id", "-u"]).output.strip() != b"0"


def test_the_example_of_the_documentation_passes(mock_image: None, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["services.testing.fixtures"]\n')
    (tmp_path / "test_example.py").write_text(EXAMPLE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_an_interrupted_test_leaves_no_container(mock_image: None, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["services.testing.fixtures"]\n')
    (tmp_path / "test_interrupted.py").write_text(
        "def test_that_is_interrupted(airbyte):\n    print(airbyte.get_container_id())\n    raise KeyboardInterrupt\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-qs",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    found = re.search(r"\b[0-9a-f]{64}\b", done.stdout)
    assert done.returncode == 2, done.stdout + done.stderr
    assert found, done.stdout + done.stderr
    inspected = subprocess.run(["docker", "inspect", found.group()], capture_output=True, check=False)
    assert inspected.returncode == 1

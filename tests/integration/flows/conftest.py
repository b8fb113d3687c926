"""One S3, one Prefect server and one dbt for all flow tests; a bucket, an Airbyte, a lake and tables for each."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.full_pipeline import full_pipeline
from services.embedded.stack import CONNECTION_ID, CREDENTIALS, PROJECT
from tests.integration.flows.platform import Platform, flights, running_airbyte


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the flow tests work, one after the other: dbt parses anew whenever a path of its profile changes."""
    return tmp_path_factory.mktemp("platform")


@pytest.fixture(scope="session", autouse=True)
def no_heartbeats(prefect_server: str) -> Iterator[None]:
    """A heartbeat's thread makes every flow run end up to a second late."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


@pytest.fixture(scope="session")
def variables(workshop: Path, s3_url: str) -> dict[str, str]:
    """The environment of the flows, Airbyte and the bucket apart."""
    return {
        **CREDENTIALS,
        "AIRBYTE_CONNECTION_ID": CONNECTION_ID,
        "S3_ENDPOINT_URL": s3_url,
        "DBT_PROJECT_DIR": str(PROJECT / "dbt_project"),
        "DBT_TARGET_PATH": str(workshop / "dbt"),
        "DBT_LOG_PATH": str(workshop / "logs"),
        "LAKE_DIR": str(workshop / "state" / "lake"),
        "WAREHOUSE_PATH": str(workshop / "state" / "warehouse.duckdb"),
        "PUBLISHED_PATH": str(workshop / "state" / "published.duckdb"),
    }


@contextmanager
def running(workshop: Path, variables: dict[str, str], begin: Path | None = None) -> Iterator[Platform]:
    """A platform with an empty bucket and the state of another one that was kept; by default with none."""
    state, s3_url = workshop / "state", variables["S3_ENDPOINT_URL"]
    shutil.rmtree(state, ignore_errors=True)
    if begin:
        shutil.copytree(begin, state, symlinks=True)
    state.mkdir(exist_ok=True)
    bucket = f"landing-{uuid4().hex[:8]}"
    s3 = boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    s3.create_bucket(Bucket=bucket)
    with pytest.MonkeyPatch.context() as patch, running_airbyte(state, bucket, s3_url) as url:
        for name, value in {**variables, "S3_BUCKET": bucket, "AIRBYTE_SERVER_URL": url}.items():
            patch.setenv(name, value)
        yield Platform(s3, bucket, url, state / "lake", state / "warehouse.duckdb", state / "published.duckdb")
    s3.close()


@pytest.fixture
def platform(workshop: Path, variables: dict[str, str]) -> Iterator[Platform]:
    """An empty platform: nothing has landed, nothing was built."""
    with running(workshop, variables) as platform:
        yield platform


def land_a_day(platform: Platform) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))


@pytest.fixture(scope="session")
def after_a_day(workshop: Path, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a platform that has loaded and published a day: made once, copied for each test that begins so."""
    with running(workshop, variables) as platform:
        land_a_day(platform)
        full_pipeline()
        assert platform.count("fct_flights") == 20
    kept = tmp_path_factory.mktemp("kept") / "state"
    shutil.copytree(workshop / "state", kept, symlinks=True)
    return kept


@pytest.fixture
def loaded(workshop: Path, variables: dict[str, str], after_a_day: Path) -> Iterator[Platform]:
    """A platform that has loaded and published a day."""
    with running(workshop, variables, after_a_day) as platform:
        land_a_day(platform)
        yield platform

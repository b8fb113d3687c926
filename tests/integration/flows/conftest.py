"""One S3, one Prefect server and one dbt for all flow tests; a bucket, an Airbyte, a lake and tables for each."""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import boto3
import httpx
import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from commands.embedded.stack import CONNECTION_ID, CREDENTIALS
from flows.airbyte_sync import start_sync, wait_for_sync
from flows.dbt_transform import dbt_deps, publish, run_dbt
from flows.full_pipeline import full_pipeline, source_freshness
from services.content import PROJECT
from tests.integration.flows.modes import DEFAULT, Mode, OnSnowflake, emptied
from tests.integration.flows.platform import Platform, flights, running_airbyte
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, running_emulator


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the flow tests work, one after the other: dbt parses anew whenever a path of its profile changes."""
    return tmp_path_factory.mktemp("platform")


@pytest.fixture(scope="session", autouse=True)
def no_heartbeats(prefect_server: str) -> Iterator[None]:
    """A heartbeat's thread makes every flow run end up to a second late."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry as often as ever, but at once."""
    for task in (start_sync, wait_for_sync, dbt_deps, run_dbt, publish, source_freshness):
        monkeypatch.setattr(task, "retry_delay_seconds", 0)
    monkeypatch.setattr("blocks.airbyte.client.FIRST_POLL_SECONDS", 0.05)


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
def running(
    workshop: Path,
    variables: dict[str, str],
    begin: Path | None = None,
    mode: Mode = DEFAULT,
    emulator: Emulator | None = None,
) -> Iterator[Platform]:
    """A platform with an empty bucket and the state of another one that was kept; by default with none.

    Args:
        workshop: the folder of its state.
        variables: its environment without the bucket and Airbyte.
        begin: the state that it begins with.
        mode: how the mock loads.
        emulator: its warehouse, where it is not DuckDB; it is emptied.
    """
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
    with ExitStack() as stack:
        patch, settings = stack.enter_context(pytest.MonkeyPatch.context()), {"like_airbyte": mode.like_airbyte}
        if emulator:
            variables = variables | stack.enter_context(emptied(emulator, state))
            settings["destination"] = state / "destination.json"
        url = stack.enter_context(running_airbyte(state, bucket, s3_url, **settings))
        for name, value in {**variables, "S3_BUCKET": bucket, "AIRBYTE_SERVER_URL": url}.items():
            patch.setenv(name, value)
        place = (s3, bucket, url, state / "lake", state / "warehouse.duckdb", state / "published.duckdb")
        yield OnSnowflake(*place, emulator) if emulator else Platform(*place)
    s3.close()


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> Mode:
    """How the mock loads, and where: `every_mode` and `like_airbyte` of modes.py say so."""
    return getattr(request, "param", DEFAULT)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The warehouse of the flow tests that have it on Snowflake."""
    with running_emulator(tmp_path_factory.mktemp("emulator"), user=USER, password=PASSWORD) as emulator:
        yield emulator


@pytest.fixture
def warehouse(mode: Mode, request: pytest.FixtureRequest) -> Emulator | None:
    """The emulator, where the mode has it."""
    return request.getfixturevalue("emulator") if mode.snowflake else None


@pytest.fixture
def platform(workshop: Path, variables: dict[str, str], mode: Mode, warehouse: Emulator | None) -> Iterator[Platform]:
    """An empty platform: nothing has landed, nothing was built."""
    with running(workshop, variables, mode=mode, emulator=warehouse) as platform:
        yield platform


def land_a_day(platform: Platform) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))


def refresh(platform: Platform, connection: str, stream: str) -> None:
    """Have Airbyte read a stream anew, in a new generation beside the former ones."""
    body = {"connectionId": connection, "refreshMode": "Merge", "streams": [{"streamName": stream}]}
    base = platform.airbyte.removesuffix("/api/public/v1")
    job = httpx.post(f"{base}/api/v1/connections/refresh", json=body, timeout=60).raise_for_status().json()["job"]["id"]
    deadline = time.monotonic() + 120
    while (status := httpx.get(f"{platform.airbyte}/jobs/{job}", timeout=60).json()["status"]) != "succeeded":
        assert time.monotonic() < deadline, status
        time.sleep(0.1)


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
def loaded(
    workshop: Path, variables: dict[str, str], mode: Mode, warehouse: Emulator | None, request: pytest.FixtureRequest
) -> Iterator[Platform]:
    """A platform that has loaded and published a day."""
    begin = request.getfixturevalue("after_a_day") if mode == DEFAULT else None
    with running(workshop, variables, begin, mode, warehouse) as platform:
        land_a_day(platform)
        if begin is None:
            full_pipeline()
        yield platform

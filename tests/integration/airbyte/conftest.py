"""A mock Airbyte with real parts: moto's S3, worker processes, DuckDB, a state file; and Snowflake's emulator."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.testclient import TestClient

from services.airbyte.app import create_app
from services.airbyte.settings import Settings
from tests.integration.airbyte.mock_config import CONFIG
from tests.integration.airbyte.running_mock import Landing, Mock, Start
from tests.integration.airbyte.snowflake_destination import Snowflake
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, public_pem, running_emulator


@pytest.fixture
def landing(s3_url: str) -> Landing:
    client = boto3.client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=(bucket := f"landing-{uuid4().hex[:12]}"))
    return Landing(client, bucket)


@pytest.fixture
def make_settings(tmp_path: Path, s3_url: str, landing: Landing) -> Callable[..., Settings]:
    def make(mode: str = "incremental_append", **changes: Any) -> Settings:
        config = tmp_path / "airbyte.yaml"
        config.write_text(CONFIG.format(bucket=landing.bucket, mode=mode))
        values = {
            "config": config,
            "lake_dir": tmp_path / "lake",
            "state_dir": tmp_path / "state",
            "s3_endpoint_url": s3_url,
            "s3_region": "us-east-1",
            "s3_access_key_id": "test",
            "s3_secret_access_key": "test",
            "retry_delay": 0.05,
            "faults": True,
        }
        return Settings(**values | changes)

    return make


@pytest.fixture
def start(make_settings: Callable[..., Settings]) -> Start:
    """Start the mock, more than once on the same lake and state if a test wants it restarted."""

    @contextmanager
    def run(**changes: Any) -> Iterator[Mock]:
        settings = make_settings(**changes)
        with TestClient(create_app(settings)) as http:
            yield Mock(http, settings.lake_dir)

    return run


@pytest.fixture
def mock(start: Start) -> Iterator[Mock]:
    with start() as running:
        yield running


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def emulator(key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """It lets in one user with one role, by password or by key pair."""
    settings = {"user": USER, "role": "R", "password": PASSWORD, "public_key": public_pem(key)}
    with running_emulator(tmp_path_factory.mktemp("emulator"), **settings) as emulator:
        yield emulator


@pytest.fixture
def warehouse(emulator: Emulator, landing: Landing) -> Snowflake:
    return Snowflake(emulator, landing.bucket.replace("-", "_"))

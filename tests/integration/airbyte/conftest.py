"""A mock Airbyte with real parts: moto's S3 server, worker processes, DuckDB, a state file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from starlette.testclient import TestClient

from services.airbyte.app import create_app
from services.airbyte.settings import Settings
from tests.integration.airbyte.running_mock import Landing, Mock, Start

CONFIG = """
workspaces:
  - {{workspaceId: 44444444-4444-4444-8444-444444444444, name: Test}}
sources:
  - sourceId: 22222222-2222-4222-8222-222222222222
    name: Shop
    workspaceId: 44444444-4444-4444-8444-444444444444
    configuration:
      bucket: {bucket}
      prefix: inbound/
      streams:
        - name: orders
          primaryKey: [id]
          columns: {{id: integer, name: string, price: number, at: timestamp_with_timezone}}
        - name: shops
          primaryKey: [id]
          columns: {{id: integer, name: string}}
destinations:
  - destinationId: 33333333-3333-4333-8333-333333333333
    name: Lake
    workspaceId: 44444444-4444-4444-8444-444444444444
connections:
  - connectionId: 11111111-1111-4111-8111-111111111111
    name: Shop to lake
    sourceId: 22222222-2222-4222-8222-222222222222
    destinationId: 33333333-3333-4333-8333-333333333333
    configurations:
      streams:
        - {{name: orders, syncMode: {mode}}}
        - {{name: shops, syncMode: incremental_append}}
"""


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

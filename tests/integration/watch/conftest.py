"""A platform that the watch looks after."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from commands.embedded.processes import free_ports
from tests.integration.watch.world import World, registered


@pytest.fixture(scope="module")
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    """A client of a server on which the platform is registered."""
    with registered() as client:
        yield client


@pytest.fixture
def world(client: SyncPrefectClient, s3_url: str, tmp_path: Path) -> Iterator[World]:
    """A platform where all is well, with a receiver of its alerts."""
    world = World(client, s3_url, tmp_path, *free_ports(1))
    with world.receiver():
        assert world.told() == []
        yield world
    world.forget()

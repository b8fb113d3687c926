"""Pytest fixtures. `pytest_plugins = ["services.testing.fixtures"]` in a conftest.py makes them available."""

import os
from collections.abc import Iterator

import pytest

from services.testing.airbyte import AirbyteContainer
from services.testing.engine import engine_problem
from services.testing.platform import Platform, remove_left_behind


def owner(config: pytest.Config) -> int:
    """Return pytest's process id. In a worker of pytest-xdist, return the controller's."""
    return os.getppid() if hasattr(config, "workerinput") else os.getpid()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the platforms of tests that were killed before they could remove them."""
    if not hasattr(config, "workerinput"):
        remove_left_behind(os.getpid())


def need_engine() -> None:
    """Skip the calling test, with the reason, if no Docker engine answers."""
    if problem := engine_problem():
        pytest.skip(problem)


@pytest.fixture(scope="module")
def platform(pytestconfig: pytest.Config) -> Iterator[Platform]:
    """The whole platform, started once for each test module."""
    need_engine()
    with Platform(owner=owner(pytestconfig)) as running:
        yield running


@pytest.fixture(scope="module")
def airbyte() -> Iterator[AirbyteContainer]:
    """The mock Airbyte alone, without an S3 to read from."""
    need_engine()
    with AirbyteContainer() as running:
        yield running

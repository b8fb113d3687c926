"""Pytest fixtures: `pytest_plugins = ["services.testing.fixtures"]` in a conftest.py makes them known."""

from collections.abc import Iterator

import pytest

from services.testing.airbyte import AirbyteContainer
from services.testing.engine import engine_problem
from services.testing.platform import Platform


def need_engine() -> None:
    """Skip the test that asks, with the reason, where no Docker engine answers."""
    if problem := engine_problem():
        pytest.skip(problem)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """The whole platform, started once for a module of tests."""
    need_engine()
    with Platform() as running:
        yield running


@pytest.fixture(scope="module")
def airbyte() -> Iterator[AirbyteContainer]:
    """The mock Airbyte alone, without an S3 to read from."""
    need_engine()
    with AirbyteContainer() as running:
        yield running

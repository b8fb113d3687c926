"""The states of a lake and its warehouse that the tests start from, each built once."""

from pathlib import Path

import pytest

from tests.integration.dbt.lake import STREAMS, Lake
from tests.integration.dbt.project import Platform, broken


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The connection exists and nothing was ever loaded; built once."""
    folder = tmp_path_factory.mktemp("dbt")
    platform = Platform(folder, Lake(folder / "lake"))
    assert platform.dbt("build").success
    return platform


@pytest.fixture(scope="session")
def thirty_days(empty: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """All of January but its last day, loaded and built."""
    platform = empty.copy(tmp_path_factory.mktemp("dbt"))
    for stream in set(STREAMS) - {"flights"}:
        platform.lake.load_landing(stream)
    platform.lake.load_landing("flights", "*-[012]?.csv.gz")
    platform.lake.load_landing("flights", "*-30.csv.gz")
    assert broken(platform.build()) == []
    return platform


@pytest.fixture(scope="session")
def january(thirty_days: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The last day came on top: extracted before the others, committed after them."""
    platform = thirty_days.copy(tmp_path_factory.mktemp("dbt"))
    platform.lake.load_landing("flights", "*-31.csv.gz", at="timestamptz '2013-02-01 00:00:00+00'")
    assert broken(platform.build()) == []
    return platform


@pytest.fixture
def platform(january: Platform, tmp_path: Path) -> Platform:
    """January, for a test to change."""
    return january.copy(tmp_path)

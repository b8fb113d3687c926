"""The states of a lake and its warehouse that the tests start from, each built once for all of pytest's workers."""

from pathlib import Path

import pytest

from tests.integration.dbt.lake import STREAMS, Lake
from tests.integration.dbt.project import Platform, broken
from tests.once import Once


@pytest.fixture(scope="session")
def empty(once: Once) -> Platform:
    """The connection exists and nothing was ever loaded."""

    def build(folder: Path) -> None:
        assert Platform(folder, Lake(folder / "lake")).dbt("build").success

    return _platform(once("empty", build))


@pytest.fixture(scope="session")
def thirty_days(empty: Platform, once: Once) -> Platform:
    """All of January but its last day, loaded and built."""

    def build(folder: Path) -> None:
        platform = empty.copy(folder)
        for stream in set(STREAMS) - {"flights"}:
            platform.lake.load_landing(stream)
        platform.lake.load_landing("flights", "*-[012]?.csv.gz")
        platform.lake.load_landing("flights", "*-30.csv.gz")
        assert broken(platform.build()) == []

    return _platform(once("thirty_days", build))


@pytest.fixture(scope="session")
def january(thirty_days: Platform, once: Once) -> Platform:
    """The last day came on top: extracted before the others, committed after them."""

    def build(folder: Path) -> None:
        platform = thirty_days.copy(folder)
        platform.lake.load_landing("flights", "*-31.csv.gz", at="timestamptz '2013-02-01 00:00:00+00'")
        assert broken(platform.build()) == []

    return _platform(once("january", build))


@pytest.fixture
def platform(january: Platform, tmp_path: Path) -> Platform:
    """January, for a test to change."""
    return january.copy(tmp_path)


def _platform(folder: Path) -> Platform:
    return Platform(folder, Lake(folder / "lake"))

"""A project without a source, for each test."""

from pathlib import Path

import pytest

from tests.integration.sources.desk import Desk, empty_desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return empty_desk(tmp_path)

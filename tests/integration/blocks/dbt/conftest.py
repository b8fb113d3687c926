"""A small dbt project for each test."""

from pathlib import Path

import pytest

from blocks.dbt.child import Child
from blocks.dbt.in_process import InProcess, warm_up
from tests.integration.blocks.dbt.project import DBT, Project


@pytest.fixture(scope="session", autouse=True)
def warm() -> None:
    warm_up()


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    return Project(tmp_path, Child(DBT) if getattr(request, "param", "") == "child" else InProcess())

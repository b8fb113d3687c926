"""The platform of a copy of this project, so that tests can change its files as a person would."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.compose.profile import load
from services.testing.fixtures import need_engine, owner
from services.testing.platform import PROJECT, Platform
from tests.e2e.landing import SAMPLE_FLIGHTS, services_of_the_sample


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's files as they are now, committed or not."""
    need_engine()
    copy = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def mock_image() -> None:
    """The mock Airbyte's image, as the platform builds it."""
    need_engine()
    build("mock-airbyte", "--target=airbyte")


def build(image: str, *options: str) -> None:
    """Build an image under its public name, as the docs say, from this checkout."""
    profile = load("local")
    secrets = {"pip": "PIP_CONFIG_FILE", "ca": "BUILD_CA_FILE"}
    given = [
        f"--secret=id={name},src={os.environ.get(value, profile.values[value])}" for name, value in secrets.items()
    ]
    subprocess.run(["docker", "build", "--quiet", "--tag", image, *given, *options, PROJECT], check=True)


@pytest.fixture(scope="module")
def platform(project: Path, pytestconfig: pytest.Config) -> Iterator[Platform]:
    """The whole platform, its sample files loaded, built and published where the profile has them."""
    profile = pytestconfig.getoption("profile")
    if not (project / "profiles" / f"{profile}.env").exists():  # one that git does not know
        shutil.copy2(PROJECT / "profiles" / f"{profile}.env", project / "profiles")
        shutil.copytree(PROJECT / "profiles" / "secrets" / profile, project / "profiles" / "secrets" / profile)
    with Platform(project, profile, owner=owner(pytestconfig)) as running:
        if services_of_the_sample(running) <= running.profile.services:
            running.eventually(lambda: sample_is_published(running), "the sample's marts", seconds=300)
        yield running


def sample_is_published(platform: Platform) -> bool | None:
    """Whether readers see every flight of the sample; None for not yet."""
    return platform.rows("select count(*) from fct_flights")[0][0] >= SAMPLE_FLIGHTS or None

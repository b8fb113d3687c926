"""One platform for the tests of the default profile, and a copy of this project for each that needs its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.compose.profile import load
from services.testing.fixtures import need_engine, owner
from services.testing.platform import PROJECT, Platform
from tests.e2e.clone import Clone, copy_project
from tests.e2e.landing import SAMPLE_FLIGHTS, services_of_the_sample


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's files as they are now, for a platform of the module's own."""
    need_engine()
    copy_project(folder := tmp_path_factory.mktemp("clone"))
    return folder


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


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Platform]:
    """The platform that most tests share, before its start; removed when the last of them has ended."""
    need_engine()
    copy_project(folder := tmp_path_factory.mktemp("shared"))
    profile = pytestconfig.getoption("profile")
    if not (folder / "profiles" / f"{profile}.env").exists():  # one that git does not know
        shutil.copy2(PROJECT / "profiles" / f"{profile}.env", folder / "profiles")
        shutil.copytree(PROJECT / "profiles" / "secrets" / profile, folder / "profiles" / "secrets" / profile)
    platform = Platform(folder, profile, owner=owner(pytestconfig))
    yield platform
    platform.__exit__()


@pytest.fixture(scope="session")
def clone(shared: Platform) -> Clone:
    """The clone that the shared platform is started from."""
    return Clone(Path(shared.context), shared.name, shared.ports)


@pytest.fixture(scope="session")
def files_at_first(clone: Clone) -> dict[Path, bytes]:
    """The clone's files before its first verb."""
    return clone.files()


@pytest.fixture(scope="session")
def up(shared: Platform, clone: Clone, files_at_first: dict[Path, bytes]) -> str:
    """What `make up` prints."""
    done = clone.make("up", f"PROFILE={shared.profile.name}", "YES=1")
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def platform(shared: Platform, up: str) -> Platform:
    """The shared platform at work, its sample files loaded, built and published where the profile has them."""
    shared.build = False
    if services_of_the_sample(shared) <= shared.profile.services:
        shared.eventually(lambda: sample_is_published(shared), "the sample's marts", seconds=300)
    return shared


def sample_is_published(platform: Platform) -> bool | None:
    """Whether readers see every flight of the sample; None for not yet."""
    return platform.rows("select count(*) from fct_flights")[0][0] >= SAMPLE_FLIGHTS or None

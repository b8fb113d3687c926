"""A newer version goes on with what the last release has left: volumes, blocks, jobs and published tables."""

import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.testing import Platform
from services.testing.fixtures import need_engine, owner
from services.testing.platform import PROJECT
from tests.e2e.clone import Clone, copy_project
from tests.e2e.conftest import sample_is_published
from tests.e2e.landing import SAMPLE_FLIGHTS, THREE, land_flights, numbers

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(3600)]
EARLIER = "c28f886"
"""A commit before the backups, for as long as no release has a tag."""


def last_release() -> str:
    """The newest tag, or the earlier commit; skips the test in a clone that has neither."""
    tag = git("describe", "--tags", "--abbrev=0")
    found = tag.stdout.strip() or EARLIER
    if git("cat-file", "-e", f"{found}^{{commit}}").returncode:
        pytest.skip(f"this clone has no history: {found} is not in it")
    return found


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", PROJECT, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clone of the last release."""
    need_engine()
    archive, clone = tmp_path / "last.tar", tmp_path / "clone"
    git("archive", f"--output={archive}", last_release()).check_returncode()
    with tarfile.open(archive) as files:
        files.extractall(clone, filter="data")
    return clone


@pytest.fixture
def platform(folder: Path, pytestconfig: pytest.Config) -> Iterator[Platform]:
    """The platform of the last release, its sample loaded by its own `make up`; removed at the end."""
    made = Platform(folder, "local", owner=owner(pytestconfig))
    try:
        done = Clone(folder, made.name, made.ports).make("up")
        assert done.returncode == 0, done.stdout
        made.build = False
        made.eventually(lambda: sample_is_published(made), "the sample's marts", seconds=1800)
        made.eventually(lambda: has_completed(made), "the end of the first run", seconds=600)
        yield made
    finally:
        made.__exit__()


def has_completed(platform: Platform) -> bool | None:
    """Whether a run of the pipeline has completed; None for not yet."""
    return any(run["state_type"] == "COMPLETED" for run in platform.flow_runs("full_pipeline/full-pipeline")) or None


def test_what_the_last_release_has_left_is_there_after_an_upgrade_and_the_next_file_is_loaded_once(
    platform: Platform, folder: Path
) -> None:
    query = "select count(*), max(_airbyte_extracted_at) from fct_flights"
    before, jobs = platform.rows(query), len(platform.airbyte("jobs", limit=100)["data"])
    runs = {run["id"] for run in platform.flow_runs() if run["state_type"] == "COMPLETED"}
    for name in ("blocks", "flows", "services", "dbt_project"):
        subprocess.run(["rm", "-r", folder / name], check=True)
    copy_project(folder)  # what `git pull` does
    done = Clone(folder, platform.name, platform.ports).make("up")
    assert done.returncode == 0, done.stdout
    after = Platform(folder, "local")
    after.name, after.prefect_port, after.airbyte_port, after.s3_port = (
        platform.name,
        platform.prefect_port,
        platform.airbyte_port,
        platform.s3_port,
    )
    assert after.rows(query) == before
    assert {run["id"] for run in after.flow_runs()} >= runs
    assert len(after.airbyte("jobs", limit=100)["data"]) >= jobs
    land_flights(after, day=3)
    after.eventually(lambda: numbers(after, day=3) or None, "the next file's rows", seconds=1800)
    assert numbers(after, day=3) == THREE
    assert after.rows("select count(*) from fct_flights") == [(SAMPLE_FLIGHTS + 3,)]

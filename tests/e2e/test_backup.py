"""What a platform keeps comes back on an empty machine, as it was."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.landing import CURSORS
from services.testing import Platform
from services.testing.fixtures import owner
from tests.e2e.clone import Clone, copy_project
from tests.e2e.conftest import sample_is_published
from tests.e2e.landing import FIRST, THREE, land_flights, numbers

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(3600)]
TABLES = ("fct_flights", "dim_airlines", "agg_daily_performance")


@pytest.fixture(params=["local", "rehearsal"])
def platform(request: pytest.FixtureRequest, project: Path, pytestconfig: pytest.Config) -> Iterator[Platform]:
    """A platform with the sample's tables, on each of the two warehouses."""
    with Platform(project, request.param, owner=owner(pytestconfig)) as running:
        running.eventually(lambda: sample_is_published(running), "the sample's marts", seconds=1800)
        yield running


@pytest.fixture
def elsewhere(platform: Platform, tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Platform]:
    """Another clone with the same profile and secrets: a project, volumes and ports of its own, and nothing in them."""
    copy_project(folder := tmp_path / "elsewhere")
    secrets = platform.profile.secrets_folder
    if secrets.is_dir():
        shutil.copytree(secrets, folder / secrets.relative_to(platform.context))
    moved = Platform(folder, platform.profile.name, owner=owner(pytestconfig))
    yield moved
    moved.__exit__()


def test_a_platform_that_moves_has_its_tables_and_cursor_and_loads_the_next_file_once(
    platform: Platform, elsewhere: Platform, tmp_path: Path
) -> None:
    clone, saved = Clone(Path(platform.context), platform.name, platform.ports), tmp_path / "platform.tar"
    profile = f"PROFILE={platform.profile.name}"
    land_flights(platform, day=1)
    platform.eventually(lambda: numbers(platform, day=1) == THREE or None, "the file's rows", seconds=1800)
    tables = {name: rows(platform, name) for name in TABLES}
    runs = {run["id"] for run in platform.flow_runs() if run["state_type"] == "COMPLETED"}
    held = {"names": ["dbt-warehouse"], "slots": 1, "lease_duration": 3600}
    take = "v2/concurrency_limits/increment-with-lease"  # as a run under way does
    platform.eventually(lambda: platform.prefect("POST", take, held), "a free slot", seconds=1800)
    done = clone.make("backup", profile, f"TO={saved}")
    assert done.returncode == 0, done.stdout
    assert saved.stat().st_mode & 0o777 == 0o600
    cursor = cursors(platform)

    refused = clone.make("restore", profile, f"FROM={saved}")
    assert refused.returncode != 0
    assert "add YES=1" in refused.stdout
    assert clone.make("down", profile).returncode == 0

    clone, platform = Clone(Path(elsewhere.context), elsewhere.name, elsewhere.ports), elsewhere
    for verb in (["restore", f"FROM={saved}"], ["up"]):
        done = clone.make(*verb, profile)
        assert done.returncode == 0, done.stdout
        if verb[0] == "restore":
            assert cursors(platform) == cursor

    assert {name: rows(platform, name) for name in TABLES} == tables
    assert {run["id"] for run in platform.flow_runs()} >= runs
    land_flights(platform, day=2)
    platform.eventually(lambda: numbers(platform, day=2) or None, "the next file's rows", seconds=1800)
    assert numbers(platform, day=2) == THREE
    assert numbers(platform, day=1) == THREE
    query = f"select count(*) from raw.flights where {raw_landed()}"
    assert platform.rows(query) == [(3,)] if platform.profile.name == "rehearsal" else True


def raw_landed() -> str:
    """The condition on raw that is true of the second day's rows; raw's columns are text."""
    return f"month::int = 2 and day::int = 2 and flight::int between {FIRST} and {FIRST + 99}"


def rows(platform: Platform, table: str) -> list[tuple[object, ...]]:
    """A table, in an order that does not depend on how it is stored."""
    return sorted(platform.rows(f"select * from {table}"), key=str)


def cursors(platform: Platform) -> dict[str, bytes]:
    """The sensor's saved cursors, by key."""
    s3 = platform.s3()
    found = s3.list_objects_v2(Bucket=platform.bucket, Prefix=CURSORS).get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=platform.bucket, Key=each["Key"])["Body"].read() for each in found}

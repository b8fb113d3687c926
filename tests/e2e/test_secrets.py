"""Every secret can be replaced while the platform is at work."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.testing import Platform
from services.testing.fixtures import owner
from tests.e2e.clone import Clone
from tests.e2e.conftest import sample_is_published
from tests.e2e.landing import SAMPLE_FLIGHTS, THREE, land_flights, numbers

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(3600)]
NEW = {
    "PREFECT_API_AUTH_STRING": "platform:re:pl@c/ed%20once$HOME",
    "AIRBYTE_CLIENT_SECRET": "re:pl@c/ed%20once$HOME",
    "SNOWFLAKE_PASSWORD": "re:pl@c/ed%20once$HOME'\"",
    "AWS_SECRET_ACCESS_KEY": "re/pl+aced=once",
}


@pytest.fixture
def platform(project: Path, pytestconfig: pytest.Config) -> Iterator[Platform]:
    with Platform(project, "rehearsal", owner=owner(pytestconfig)) as running:
        running.eventually(lambda: sample_is_published(running), "the sample's marts", seconds=1800)
        yield running


def test_no_run_is_interrupted_while_all_secrets_are_replaced_and_the_next_file_is_loaded_once(
    platform: Platform,
) -> None:
    clone, folder = Clone(Path(platform.context), platform.name, platform.ports), platform.profile.secrets_folder
    land_flights(platform, day=1)
    platform.eventually(
        lambda: any(run["state_type"] == "RUNNING" for run in platform.flow_runs()) or None,
        "a run at work",
        seconds=600,
    )
    for name, value in NEW.items():
        (folder / name).unlink()
        (folder / name).write_text(value)
    done = clone.make("up", "PROFILE=rehearsal")
    assert done.returncode == 0, done.stdout
    platform.eventually(lambda: numbers(platform, day=1) or None, "the rows of the file before", seconds=1800)
    land_flights(platform, day=2)
    platform.eventually(lambda: numbers(platform, day=2) or None, "the rows of the file after", seconds=1800)
    assert (numbers(platform, day=1), numbers(platform, day=2)) == (THREE, THREE)
    assert platform.rows("select count(*) from fct_flights") == [(SAMPLE_FLIGHTS + 6,)]
    history = [state["name"] for run in platform.flow_runs() for state in states(platform, run)]
    assert "Completed" in history
    assert not {"Crashed", "Failed", "AwaitingRetry"} & set(history), "no run is interrupted, or refused by a system"


def states(platform: Platform, run: dict[str, Any]) -> list[dict[str, Any]]:
    """All states that a run has had."""
    found: list[dict[str, Any]] = platform.prefect("GET", f"flow_run_states/?flow_run_id={run['id']}")
    return found

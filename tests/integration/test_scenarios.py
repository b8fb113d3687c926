"""The named failures, played as `make scenario` plays them, each with an account of every row."""

import subprocess
import sys
from pathlib import Path

import pytest

from commands.scenarios.every import SCENARIOS
from services.testing.fixtures import need_engine
from tests.readme import PROJECT

CHEAP = "airbyte-answer-lost"
FEW_SECONDS, ALL_SECONDS = 900, 7200


def make(folder: Path, *arguments: str) -> str:
    """Run what `make scenario` or `make soak` runs; what it prints, once its exit code is 0."""
    command = [sys.executable, "-P", "-s", "-m", "commands.scenarios", *arguments, f"--data={folder}"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.exhaustive
@pytest.mark.timeout(FEW_SECONDS)
def test_an_answer_of_airbyte_that_was_lost_costs_no_row_and_doubles_none(tmp_path: Path) -> None:
    printed = make(tmp_path, "scenario", CHEAP)
    assert [line.split(",")[0] for line in printed.splitlines() if line.startswith("passed")] == [f"passed {CHEAP}"]


@pytest.mark.exhaustive
@pytest.mark.timeout(ALL_SECONDS)
@pytest.mark.parametrize("engine", ["embedded", "compose"])
def test_every_scenario_ends_as_the_page_says(engine: str, tmp_path: Path) -> None:
    if engine == "compose":
        need_engine()
    printed = make(tmp_path, "scenario", "all", f"--engine={engine}")
    assert f"{len(SCENARIOS)} of {len(SCENARIOS)} scenarios passed." in printed


@pytest.mark.exhaustive
@pytest.mark.timeout(ALL_SECONDS)
def test_a_soak_loses_no_row_and_doubles_none(tmp_path: Path) -> None:
    assert "0 lost, 0 doubled" in make(tmp_path, "soak", "--minutes=3", "--seed=1")

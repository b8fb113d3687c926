"""The list of scenarios, and the page that describes them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands.scenarios.every import SCENARIOS
from commands.scenarios.play import play
from commands.scenarios.table import table
from tests.readme import PROJECT


def test_the_page_of_scenarios_has_the_table_that_is_made_from_them() -> None:
    assert table() in (PROJECT / "docs" / "scenarios.md").read_text()


def test_each_scenario_is_modelled_on_a_public_report_of_its_own() -> None:
    addresses = [each.incident for each in SCENARIOS.values()]
    assert len(SCENARIOS) >= 15
    assert len(set(addresses)) == len(addresses)
    assert all(re.fullmatch(r"https://[\w./-]+", address) for address in addresses)


def test_without_a_name_the_scenarios_are_listed_one_a_line() -> None:
    command = [sys.executable, "-P", "-s", "-m", "commands.scenarios", "scenario", "--", ""]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SCENARIOS)


@pytest.mark.parametrize("names", [["no-such"], ["file-late", "no-such"]])
def test_an_unknown_scenario_is_refused_before_anything_starts(
    names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert play(names, "embedded", tmp_path) == 1
    assert capsys.readouterr().err == "There is no scenario no-such. `make scenario` lists them.\n"
    assert list(tmp_path.iterdir()) == []

"""The list of scenarios, and the page that describes them."""

import re
import subprocess

import pytest

from services.scenarios.every import SCENARIOS
from services.scenarios.table import table
from tests.readme import PROJECT


def test_the_page_of_scenarios_has_the_table_that_is_made_from_them() -> None:
    assert table() in (PROJECT / "docs" / "scenarios.md").read_text()


def test_each_scenario_is_modelled_on_a_public_report_of_its_own() -> None:
    addresses = [each.incident for each in SCENARIOS.values()]
    assert len(SCENARIOS) >= 15
    assert len(set(addresses)) == len(addresses)
    assert all(re.fullmatch(r"https://[\w./-]+", address) for address in addresses)


def test_make_scenario_lists_them_one_a_line() -> None:
    printed = subprocess.run(["make", "scenario"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in printed.splitlines()] == list(SCENARIOS)


@pytest.mark.parametrize("name", ["no-such", "file-late no-such"])
def test_an_unknown_scenario_is_refused_before_anything_starts(name: str) -> None:
    done = subprocess.run(
        ["make", "scenario", f"NAME={name}"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "There is no scenario no-such. `make scenario` lists them." in done.stderr

"""The page about alerts says what the watch does."""

import re
import shlex
from pathlib import Path

import pytest

from services.watch.causes import CAUSES, PLACEHOLDERS, table, times

CLONE = Path(__file__).parents[3]
PAGE = CLONE / "docs" / "alerts.md"
TARGETS = re.findall(r"^([a-z-]+):", (CLONE / "Makefile").read_text(), re.MULTILINE)


def test_the_page_of_alerts_has_every_cause_as_the_watch_tells_it() -> None:
    assert between("causes") == table()


def test_the_page_of_alerts_says_when_each_cause_is_reported_as_the_watch_does_it() -> None:
    assert between("times") == times()


def test_every_cause_is_reported_within_two_minutes_of_when_it_can_be_known() -> None:
    assert {kind: each.reported_within for kind, each in CAUSES.items() if each.reported_within > 120} == {}


def between(name: str) -> str:
    found = re.search(rf"<!-- {name}: .*? -->\n(.*)<!-- end of {name} -->", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1].strip()


def test_every_cause_says_what_it_means_for_the_tables_and_what_to_type() -> None:
    assert all(each.impact and each.command and each.begins and each.ends for each in CAUSES.values())


@pytest.mark.parametrize("kind", CAUSES)
def test_a_command_is_one_that_a_shell_takes_as_it_is(kind: str) -> None:
    for command in CAUSES[kind].command.format(**PLACEHOLDERS).split(";"):
        program, *words = shlex.split(command)
        assert program in ("make", "prefect", "docker")
        if program == "make":
            assert words[0] in TARGETS
            assert all(re.match("[A-Z]+=", each) for each in words[1:])

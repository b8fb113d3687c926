"""All differences are shown before the first question, and nobody is asked where nobody can answer."""

import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from commands.sources.asking import resolve_drift
from commands.sources.drift import Drift
from commands.sources.spec import Spec

SPEC = Spec("orders", ["id"], [])
LATE = Drift("column 'a' is new", "raw has it", lambda spec: replace(spec, late_days=1))
KEY = Drift("the key is null", "the test fails", None, "the table has one row per key")
Told = tuple[Spec | None, str]


@pytest.fixture
def decide(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    def decide(*found: Drift, yes: bool = False, answers: str = "") -> Told:
        out = StringIO()
        console = Console(file=out, width=200)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: bool(answers), raising=False)
        monkeypatch.setattr("builtins.input", lambda question: (console.print(question, markup=False), typed.pop(0))[1])
        typed = list(answers)
        return resolve_drift(console, SPEC, found, yes), out.getvalue()

    return decide


@pytest.mark.parametrize("yes", [True, False])
def test_all_differences_are_shown_where_one_cannot_be_accepted(yes: bool, decide: Callable[..., Told]) -> None:
    spec, said = decide(KEY, LATE, yes=yes)
    assert spec is None
    assert "the key is null" in said
    assert "column 'a' is new" in said
    assert "It cannot be accepted, because the table has one row per key." in said
    assert ("YES=1 accepts every difference, and 1 of 2 cannot be accepted." in said) is yes
    assert ("There is no terminal to ask in. Run the command in a terminal." in said) is not yes


def test_without_a_terminal_yes_is_offered_and_does_what_it_says(decide: Callable[..., Told]) -> None:
    spec, said = decide(LATE)
    assert spec is None
    assert "Run the command in a terminal, or accept every difference with YES=1." in said
    assert decide(LATE, yes=True)[0] == replace(SPEC, late_days=1)


def test_every_difference_is_shown_before_the_first_question(decide: Callable[..., Told]) -> None:
    spec, said = decide(LATE, KEY, answers="iai")
    assert spec == SPEC
    assert said.index("differs the key is null") < said.index("[a]ccept it")
    assert said.count("[i]gnore it, [r]eject the file?") == 3
    assert decide(LATE, KEY, answers="ar")[0] is None
    assert decide(LATE, KEY, answers="ai")[0] == replace(SPEC, late_days=1)

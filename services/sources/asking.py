"""The questions that `make source` asks, and what it does if nobody can answer."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from blocks.errors import counted
from services.compose.__main__ import SWITCH_VALUES
from services.compose.__main__ import answer as ask
from services.sources.drift import Drift
from services.sources.spec import Spec

CHOICES = {"t": "take", "l": "leave", "r": "refuse"}


def resolve_drift(console: Console, spec: Spec, found: Sequence[Drift], yes: bool) -> Spec | None:
    """Show how a file differs, ask about each difference, and return the new spec, or None if the file is refused.

    With `yes`, every difference is taken up, and the file is refused if one of them cannot be.
    """
    for each in found:
        console.print(f"[yellow]differs[/yellow] {escape(each.text)}", highlight=False, soft_wrap=True)
        if not each.take:
            console.print(f"  It cannot be taken up, because {escape(each.because)}.", highlight=False, soft_wrap=True)
    stuck = sum(not each.take for each in found)
    if yes and stuck:
        text = f"YES=1 takes up every difference, and {stuck} of {len(found)} cannot be taken up."
        console.print(f"{text} In a terminal, without YES=1, you can leave a difference.", highlight=False)
        return None
    if found and not yes and not sys.stdin.isatty():
        remedy = "Run the command in a terminal" + ("." if stuck else ", or take up every difference with YES=1.")
        console.print(f"There is no terminal to ask in. {remedy}", highlight=False)
        return None
    if found and yes:
        console.print(f"{counted(len(found), 'difference')} taken up.", highlight=False)
    for each in found:
        answer = "take" if yes else _answer(console, each)
        if answer == "refuse":
            return None
        if answer == "take" and each.take:
            spec = each.take(spec)
    return spec


def _answer(console: Console, each: Drift) -> str:
    """Ask what to do with a difference: take, leave or refuse."""
    console.print(f"\n{escape(each.text)}\n  If you leave it, {each.if_left}.", highlight=False, soft_wrap=True)
    offered = "[t]ake it up, [l]eave it, [r]efuse the file" if each.take else "[l]eave it, [r]efuse the file"
    while True:
        try:
            answer = CHOICES.get(input(f"  {offered}? ").strip().lower()[:1], "")
        except EOFError:
            return "refuse"
        if answer and (each.take or answer != "take"):
            return answer


def confirm(console: Console, question: str, yes: bool) -> bool:
    """Ask a person, and return whether the answer is yes. YES=1 answers for them."""
    if yes:
        return True
    if not sys.stdin.isatty():
        console.print(f"{question} There is no terminal to ask in. YES=1 answers yes. Nothing was changed.")
        return False
    if SWITCH_VALUES.get(ask(f"{question} [y/N] "), False):
        return True
    console.print("Nothing was changed.")
    return False

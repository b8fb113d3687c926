"""The questions that `make source` asks, and what it does if nobody can answer."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from blocks.errors import counted
from commands.options import SWITCH_VALUES
from commands.options import answer as ask
from commands.sources.drift import Drift
from commands.sources.spec import Spec

CHOICES = {"a": "accept", "i": "ignore", "r": "reject"}


def resolve_drift(console: Console, spec: Spec, found: Sequence[Drift], yes: bool) -> Spec | None:
    """Show how a file differs, ask about each difference, and return the new spec, or None if the file is rejected.

    With `yes`, every difference is accepted, and the file is rejected if one of them cannot be.
    """
    for each in found:
        console.print(f"[yellow]differs[/yellow] {escape(each.text)}", highlight=False, soft_wrap=True)
        if not each.accept:
            console.print(f"  It cannot be accepted, because {escape(each.because)}.", highlight=False, soft_wrap=True)
    stuck = sum(not each.accept for each in found)
    if yes and stuck:
        text = f"YES=1 accepts every difference, and {stuck} of {len(found)} cannot be accepted."
        console.print(f"{text} In a terminal, without YES=1, you can ignore a difference.", highlight=False)
        return None
    if found and not yes and not sys.stdin.isatty():
        remedy = "Run the command in a terminal" + ("." if stuck else ", or accept every difference with YES=1.")
        console.print(f"There is no terminal to ask in. {remedy}", highlight=False)
        return None
    if found and yes:
        console.print(f"{counted(len(found), 'difference')} accepted.", highlight=False)
    for each in found:
        answer = "accept" if yes else _answer(console, each)
        if answer == "reject":
            return None
        if answer == "accept" and each.accept:
            spec = each.accept(spec)
    return spec


def _answer(console: Console, each: Drift) -> str:
    """Ask what to do with a difference: accept, ignore or reject."""
    console.print(f"\n{escape(each.text)}\n  If you ignore it, {each.if_ignored}.", highlight=False, soft_wrap=True)
    offered = "[a]ccept it, [i]gnore it, [r]eject the file" if each.accept else "[i]gnore it, [r]eject the file"
    while True:
        try:
            answer = CHOICES.get(input(f"  {offered}? ").strip().lower()[:1], "")
        except EOFError:
            return "reject"
        if answer and (each.accept or answer != "accept"):
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

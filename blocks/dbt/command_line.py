"""Parses dbt command lines."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from blocks.dbt.results import DbtNode

RECORDED = frozenset({"build", "run", "test", "seed", "snapshot", "retry", "clone"})
"""Commands that are recorded in the ledger."""
OFFLINE = frozenset({"", "deps", "parse", "clean", "init", "list", "ls"})
"""Commands that do not use the warehouse."""
OTHERS = frozenset({"compile", "debug", "docs", "run-operation", "show", "source"})


def verb(command: Sequence[str]) -> str:
    """Return the dbt command of a command line, e.g. `build`; "" if there is none, or only a request for help."""
    if {"--help", "-h", "--version"} & set(command) or not command:
        return ""
    return next((word for word in command if word in RECORDED | OFFLINE | OTHERS), "")


def nothing_selected(command: Sequence[str], nodes: Sequence[DbtNode], manifest: Any) -> str:
    """Return a message with similar names if a selection matches no node; otherwise ""."""
    asked = _selection(command)
    if nodes or manifest is None or verb(command) not in RECORDED - {"retry"} or not asked:
        return ""
    names = sorted({node.name for node in manifest.nodes.values()})
    words = [word for each in asked for word in re.findall(r"[A-Za-z_][\w]*", each)]
    near = list(dict.fromkeys(name for word in words for name in get_close_matches(word, names)))
    hint = f"Did you mean {', '.join(near[:5])}?" if near else "`make dbt ARGS=ls` lists the nodes."
    return f"The selection {' '.join(asked)!r} matches no node of the dbt project, so nothing was done. {hint}"


def _selection(command: Sequence[str]) -> list[str]:
    """Return the words of a command line that select or exclude nodes."""
    words, taking = list[str](), False
    for word in command:
        option, _, value = word.partition("=")
        if option in ("--select", "-s", "--models", "--model", "-m", "--exclude", "--selector", "--resource-type"):
            taking = not value
            words += [value] if value else []
        elif re.match(r"-[sm][^-]", word):  # the value follows without a space
            taking, words = False, [*words, word[2:]]
        elif word.startswith("-"):
            taking = False
        elif taking:
            words.append(word)
    return words

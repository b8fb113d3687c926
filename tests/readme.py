"""README.md and the manual below docs/ as the tests read them: their blocks of code and the rows of their tables."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PAGES = ("README", "docs/first-day", "docs/flows", "docs/sensor")
"""The pages whose commands a reader types into a running `make dev`, in the order in which README names them."""
MANUAL = "\n".join((PROJECT / f"{page}.md").read_text() for page in PAGES)


def blocks(kind: str) -> list[str]:
    """Return the fenced blocks of the manual whose opening line says this, e.g. `sh dev`."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", MANUAL, re.DOTALL | re.MULTILINE)


def kinds() -> set[str]:
    """Return what the opening lines of all fenced blocks of the manual say."""
    return set(re.findall(r"^```(.*)\n(?:.*\n)*?```$", MANUAL, re.MULTILINE))


def rows(page: str) -> list[list[str]]:
    """Return the rows of the first table of a page such as `docs/settings.md`, as cells without backticks."""
    table = re.search(r"^\|.*\n(?:\|.*\n?)+", (PROJECT / page).read_text(), re.MULTILINE)
    lines = table.group().splitlines() if table else []
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[2:]]

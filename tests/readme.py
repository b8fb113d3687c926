"""README.md as the tests read it: its blocks of code and the rows of its tables."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    """The texts of the fenced blocks whose opening line says this, e.g. `sh dev`."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def kinds() -> set[str]:
    """What the opening lines of all fenced blocks say."""
    return set(re.findall(r"^```(.*)\n(?:.*\n)*?```$", README, re.MULTILINE))


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, as cells without backticks."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[2:]]

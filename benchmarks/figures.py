"""Save a benchmark's figures in data/bench/latest.json, show them as bars on the terminal, and draw pictures."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import leather
from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
LATEST = ROOT / "data" / "bench" / "latest.json"
WIDTH = 30
PICTURE = 640, 360
leather.theme.background_color = "#ffffff"


class Figure(TypedDict):
    """A measurement; `rows` is the length of the history, and `floor` a lower bound of the cost."""

    name: str
    ours: float
    floor: float
    ratio: float
    unit: str
    rounds: int
    rows: int


def figure(name: str, ours: float, floor: float, unit: str, rounds: int, rows: int) -> Figure:
    """Return a rounded figure. Its ratio is computed before rounding."""
    return Figure(
        name=name,
        ours=round(ours, 2),
        floor=round(floor, 2),
        ratio=round(ours / floor, 2),
        unit=unit,
        rounds=rounds,
        rows=rows,
    )


def keep(found: Sequence[Figure], file: Path = LATEST) -> None:
    """Write figures to the file, replacing those with the same name and rows."""
    new = {(each["name"], each["rows"]) for each in found}
    old: list[Figure] = json.loads(file.read_text()) if file.exists() else []
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([*(each for each in old if (each["name"], each["rows"]) not in new), *found], indent=2))


def draw(file: Path = LATEST) -> list[Path]:
    """Draw each saved figure that has several history sizes as an SVG file, and return the files."""
    kept: list[Figure] = json.loads(file.read_text())
    drawn = []
    for name in dict.fromkeys(each["name"] for each in kept):
        same = sorted((each for each in kept if each["name"] == name), key=lambda each: each["rows"])
        if len(same) > 1:
            drawn.append(file.with_name(f"{re.sub(r'[^a-z]+', '-', name.lower())}.svg"))
            chart = leather.Chart(f"{name}, {same[0]['unit']} by rows of history")
            chart.add_line([(each["rows"] / 1e6, each["ours"]) for each in same], name="ours")
            chart.add_line([(each["rows"] / 1e6, each["floor"]) for each in same], name="floor")
            chart.add_x_axis(name="million rows")
            chart.add_y_scale(0, max(max(each["ours"], each["floor"]) for each in same))
            chart.to_svg(str(drawn[-1]), *PICTURE)
    return drawn


def show(found: Sequence[Figure], console: Console) -> None:
    """Print each figure under its name, with a bar of the floor and what exceeds it."""
    for name in dict.fromkeys(each["name"] for each in found):
        console.print(f"\n[bold]{name}[/bold]  [dim](▇ floor, ░ more)[/dim]", highlight=False)
        same = [each for each in found if each["name"] == name]
        longest = max(max(each["ours"], each["floor"]) for each in same)
        for each in same:
            least, mine = (round(WIDTH * value / longest) for value in (each["floor"], each["ours"]))
            bar = "▇" * min(least, mine) + "░" * (mine - least)
            values = f"{each['ours']:g} {each['unit']}, floor {each['floor']:g}, ratio {each['ratio']:.2f}"
            console.print(f"  {each['rows']:>11,} rows  {bar:{WIDTH}}  {values}", highlight=False, soft_wrap=True)
    console.print()

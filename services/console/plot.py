"""Plots a query's rows as SVG: a line over times or numbers, or bars by name. The page's CSS sets the colours."""

import math
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, time
from statistics import fmean
from typing import Any, NamedTuple

import leather
from leather import svg
from markupsafe import Markup, escape

from blocks.published import Answer

WIDTH, HEIGHT, BAR = 720, 220, 24
BARS, POINTS, MOST_TICKS = 15, 400, 6
leather.theme.margin = 0.015  # of the width
NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
           "FLOAT", "DOUBLE", "DECIMAL")  # fmt: skip


class Plot(NamedTuple):
    """A plot and its title."""

    title: str
    image: Markup


def kind(type_: str) -> str:
    """Return the role of a DuckDB type in a plot: `time`, `number`, `name`, or ""."""
    if type_.startswith(("DATE", "TIMESTAMP", *NUMBERS)) and not type_.endswith("]"):
        return "number" if type_.startswith(NUMBERS) else "time"
    return "name" if type_ in ("VARCHAR", "BOOLEAN") else ""


def draw(answer: Answer) -> Plot | None:
    """Plot the first number by the first time, or else by name or by another number. Return None below two points.

    If several rows have the same time or name, the plot shows their mean. If there is only one number, it shows how
    many rows have each value. The title says if only the last POINTS or the largest BARS are shown.
    """
    kinds = [kind(each) for each in answer.types]
    by = next((kinds.index(each) for each in ("time", "name", "number") if each in kinds), 0)
    of = next((place for place, each in enumerate(kinds) if each == "number" and place != by), None)
    if "number" not in kinds:
        return None
    groups: dict[Any, list[float]] = defaultdict(list)
    for row in answer.rows:
        with suppress(TypeError, ValueError, OverflowError):  # null, an infinite number, or a year before 1
            value = 1.0 if of is None else _finite(row[of])
            groups[_READ[kinds[by]](row[by])].append(value)
    if len(groups) < 2:
        return None
    points = {each: sum(values) if of is None else fmean(values) for each, values in groups.items()}
    mean = "mean " if of is not None and len(points) < sum(map(len, groups.values())) else ""
    most, which = (BARS, "largest") if kinds[by] == "name" else (POINTS, "last")
    shown = f", the {which} {most} of {len(points):,}" if len(points) > most else ""
    title = f"{mean}{'rows' if of is None else answer.columns[of]} by {answer.columns[by]}{shown}"
    try:
        return Plot(title, _bars(title, points) if kinds[by] == "name" else _line(title, points))
    except (ValueError, ArithmeticError):  # the numbers are too far apart for one scale, or there is one point
        return None


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError(number)
    return number


def _name(value: Any) -> str:
    if value is None:
        raise ValueError(value)
    text = str(value)
    return text if len(text) <= 26 else f"{text[:12]}…{text[-13:]}"


def _time(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=None)


_READ: dict[str, Callable[[Any], Any]] = {"number": _finite, "name": _name, "time": _time}


def _line(title: str, points: dict[Any, float]) -> Markup:
    chart, shown = leather.Chart(), sorted(points)[-POINTS:]
    if any(isinstance(each, datetime) for each in shown):
        style = "%Y-%m-%d" if all(each.time() == time() for each in shown) else "%m-%d %H:%M:%S"
        ticks = shown[:: len(shown) // MOST_TICKS + 1]
        chart.add_x_axis(ticks=ticks, tick_formatter=lambda at, *_: at.strftime(style))
    chart.add_line([(each, points[each]) for each in shown])
    return _image(title, chart, HEIGHT)


def _bars(title: str, points: dict[str, float]) -> Markup:
    longest = sorted(points.items(), key=lambda each: -abs(each[1]))[:BARS]
    chart = leather.Chart()
    chart.add_bars([(value, name) for name, value in longest])
    return _image(title, chart, 40 + BAR * len(longest))


def _image(title: str, chart: leather.Chart, height: int) -> Markup:
    drawn = svg.stringify(chart.to_svg_group(WIDTH, height))
    view = f'<svg class="plot" role="img" viewBox="0 0 {WIDTH} {height}"><title>{escape(title)}</title>{drawn}</svg>'
    return Markup(view)  # noqa: S704 - leather escapes every text

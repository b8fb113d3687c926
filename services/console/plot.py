"""Plots as SVG, drawn here: which one is chosen by the columns' types."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from markupsafe import Markup, escape

from services.console.query import Answer
from services.console.snapshot import BAD

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 220, 56, 24
BARS, POINTS, BINS = 15, 400, 24
NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
           "FLOAT", "DOUBLE", "DECIMAL")  # fmt: skip
TIMES = ("DATE", "TIMESTAMP")


def is_number(type_: str) -> bool:
    """Whether a column of this type of DuckDB's has numbers."""
    return type_.startswith(NUMBERS) and not type_.endswith("]")


def is_time(type_: str) -> bool:
    """Whether it has dates or times."""
    return type_.startswith(TIMES) and not type_.endswith("]")


def draw(answer: Answer) -> Markup | None:
    """A line over time, bars by name, or a histogram; None where the columns have no plot."""
    times, numbers, names = (
        [place for place, type_ in enumerate(answer.types) if fits(type_)]
        for fits in (is_time, is_number, lambda type_: type_ in ("VARCHAR", "BOOLEAN"))
    )
    if not numbers or not answer.rows:
        return None
    number = numbers[0]
    by = times[0] if times else names[0] if names else None
    if by is None:
        return _histogram(answer, number)
    groups: dict[str, list[float]] = defaultdict(list)
    for row in answer.rows:
        if (value := _float(row[number])) is not None and row[by] is not None:
            groups[str(row[by])].append(value)
    if not groups:
        return None
    mean = "mean of " if any(len(each) > 1 for each in groups.values()) else ""
    title = f"{mean}{answer.columns[number]} by {answer.columns[by]}"
    points = [(label, fmean(values)) for label, values in groups.items()]
    if times:
        return _line(title, sorted(points)[:POINTS])
    return _bars(title, sorted(points, key=lambda each: -each[1])[:BARS])


def _histogram(answer: Answer, number: int) -> Markup | None:
    values = [value for row in answer.rows if (value := _float(row[number])) is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    size = (high - low) / BINS or 1
    bins = [0] * BINS
    for value in values:
        bins[min(int((value - low) / size), BINS - 1)] += 1
    top, step = max(bins), (WIDTH - LEFT) / BINS
    rects = [
        f'<rect x="{LEFT + place * step:.1f}" y="{_y(count, 0, top):.1f}" width="{step - 1:.1f}" '
        f'height="{HEIGHT - BOTTOM - _y(count, 0, top):.1f}"/>'
        for place, count in enumerate(bins)
        if count
    ]
    title = f"rows by {answer.columns[number]}"
    return _svg(title, HEIGHT, [*_scale(0, top), *_ends(_text(low), _text(high)), *rects])


def _line(title: str, points: Sequence[tuple[str, float]]) -> Markup:
    values = [value for _, value in points]
    low, high = min(*values, 0.0), max(*values, 0.0)
    step = (WIDTH - LEFT - 8) / max(len(points) - 1, 1)
    places = [(LEFT + place * step, _y(value, low, high)) for place, value in enumerate(values)]
    path = " ".join(f"{'L' if place else 'M'}{x:.1f} {y:.1f}" for place, (x, y) in enumerate(places))
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>{escape(label)}: {_text(value)}</title></circle>'
        for (x, y), (label, value) in zip(places, points, strict=True)
    ]
    parts = [*_scale(low, high), *_ends(points[0][0], points[-1][0]), f'<path class="line" d="{path}"/>', *dots]
    return _svg(title, HEIGHT, parts)


def _bars(title: str, points: Sequence[tuple[str, float]]) -> Markup:
    top = max(abs(value) for _, value in points) or 1
    left, row = 180, 20
    parts = []
    for place, (label, value) in enumerate(points):
        width, y = abs(value) / top * (WIDTH - left - 90), place * row
        short = label if len(label) <= 26 else f"{label[:25]}…"
        parts += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(short)}</text>',
            f'<rect x="{left}" y="{y + 3}" width="{max(width, 1):.1f}" height="{row - 6}"/>',
            f'<text x="{left + width + 6:.1f}" y="{y + 14}">{_text(value)}</text>',
        ]
    return _svg(title, len(points) * row, parts)


def sparkline(states: Sequence[str]) -> Markup:
    """A small bar for each status, oldest first; a failure is tall, a warning half as tall."""
    marks = []
    for place, state in enumerate(states):
        kind = "ok" if state in ("pass", "success") else "bad" if state in BAD else "warn"
        height = {"ok": 5, "warn": 9, "bad": 14}[kind]
        marks.append(f'<rect class="{kind}" x="{place * 5}" y="{14 - height}" width="4" height="{height}"/>')
    told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return Markup(  # noqa: S704 - every text in it is escaped
        f'<svg class="spark" role="img" width="{len(states) * 5}" height="14"><title>{escape(told)}</title>'
        f"{''.join(marks)}</svg>"
    )


def _svg(title: str, height: int, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 - every text in it is escaped
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH} {height}"><title>{escape(title)}</title>'
        f"{''.join(parts)}</svg>"
    )


def _scale(low: float, high: float) -> list[str]:
    """A line and its number at four heights."""
    levels = [low + (high - low) * part / 3 for part in range(4)] if high > low else [low]
    return [
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_text(level)}</text>'
        for level in levels
        for y in [_y(level, low, high)]
    ]


def _ends(first: str, last: str) -> list[str]:
    return [
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{escape(first)}</text>',
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">{escape(last)}</text>',
    ]


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (value - low) / ((high - low) or 1) * (HEIGHT - BOTTOM - 10)


def _float(value: Any) -> float | None:
    """A number, which DECIMAL has as text; None for a value that is not a number, or that a plot cannot show."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: float) -> str:
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1_000 else f"{value:.3g}"

"""How the page says times and numbers."""

from datetime import datetime


def span(seconds: float) -> str:
    """A length of time in one or two units, e.g. `3 min`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(now: datetime, then: datetime | None) -> str:
    """How long ago something was."""
    return f"{span(max((now - then).total_seconds(), 0))} ago" if then else "never"


def number(value: float | None) -> str:
    """A whole number with separators."""
    return "" if value is None else f"{value:,.0f}"

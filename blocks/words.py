"""Durations and times in words."""

from datetime import datetime


def span(seconds: float) -> str:
    """Return a duration in one unit, e.g. `3 min`."""
    for size, unit in ((172_800, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / min(size, 86_400):.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(now: datetime, then: datetime | None) -> str:
    """Return how long ago a time was, e.g. `3 min ago`; `never` for None."""
    return f"{span(max((now - then).total_seconds(), 0))} ago" if then else "never"

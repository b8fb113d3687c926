"""How the page says times and numbers: filters of its templates."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape


def span(seconds: float) -> str:
    """A length of time in one unit, e.g. `3 min`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(now: datetime, then: datetime | None) -> str:
    return f"{span(max((now - then).total_seconds(), 0))} ago" if then else "never"


def change(row: Mapping[str, Any]) -> str:
    """What a publication changed in a table, by its row of the artifact."""
    if not row["before"] and not row["removed"]:
        return f"new, {row['rows']:,} rows"
    said = f"{row['before']:,} → {row['rows']:,} rows ({row['rows'] - row['before']:+,})"
    columns = [f"{kind} columns {row[key]}" for kind, key in (("new", "added"), ("removed", "removed")) if row[key]]
    return ", ".join([said, *columns])


def number(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value or "")


def code(text: str) -> Markup:
    """A text whose commands in backticks are shown as such."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just now

"""How the page says numbers and commands: filters of its templates."""

import re
from typing import Any

from markupsafe import Markup, escape


def number(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value or "")


def code(text: str) -> Markup:
    """A text whose commands in backticks are shown as such."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just now

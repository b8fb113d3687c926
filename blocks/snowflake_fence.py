"""Allows only statements that read: what a person types at `make sql` runs in Snowflake with the pipelines' role."""

import re
from collections.abc import Iterator

from blocks.errors import PlatformError

READS = ("select", "with", "show", "describe", "desc")
VERBS = frozenset({"select", "insert", "update", "delete", "merge", "create", "copy", "call", "execute"})
BOUNDS = frozenset({"limit", "fetch", "top", "offset"})
TOKEN = re.compile(
    r"""(?P<skipped>--[^\n]*|//[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|\$\$.*?\$\$)|->>|[^\W\d][\w$]*|\S""",
    re.DOTALL,
)


class NotARead(PlatformError):
    """The statement could change something, so it was not run."""


def check(statement: str) -> None:
    """Raise NotARead unless the statement is a single SELECT, WITH … SELECT, SHOW or DESCRIBE."""
    words = list(_words(statement))
    first = next((word for word, _ in words if word != "("), "")
    chained = any(word in (";", "->>") for word, _ in words)
    calls = any(word.startswith("system$") for word, _ in words)
    if first not in READS or chained or calls or (first == "with" and _verb(words) != "select"):
        raise NotARead(
            f"This statement was not run, because it may change something: {' '.join(statement.split())[:80]!r}. "
            "`make sql` runs single SELECT, WITH … SELECT, SHOW and DESCRIBE statements without SYSTEM$ functions and "
            "`->>`. For others, use Snowflake's own client and a role that may run them."
        )


def bounded(statement: str, most: int) -> tuple[str, str]:
    """Return the statement with a limit of `most` rows, and a statement that counts its rows.

    A statement that has a limit already is returned unchanged, without a statement that counts.
    """
    words = list(_words(statement))
    first = next((word for word, _ in words if word != "("), "")
    if first not in ("select", "with") or any(word in BOUNDS and depth == 0 for word, depth in words):
        return statement, ""
    # These are on lines of their own, since the statement may end in a comment.
    return f"{statement}\nlimit {most}", f"select count(*) from (\n{statement}\n)"  # noqa: S608 - checked, and a person's own


def _verb(words: list[tuple[str, int]]) -> str:
    """Return the verb after the table definitions of a WITH statement."""
    return next((word for word, depth in words if depth == 0 and word in VERBS), "")


def _words(statement: str) -> Iterator[tuple[str, int]]:
    """Yield words and symbols in lower case, with the depth of parentheses. Comments and quoted text are skipped."""
    depth = 0
    for token in TOKEN.finditer(statement):
        if token["skipped"] is None:
            depth -= token[0] == ")"
            yield token[0].lower(), depth
            depth += token[0] == "("

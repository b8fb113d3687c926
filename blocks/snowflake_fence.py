"""Which statements of Snowflake's read alone: what a person types at `make sql` runs in the pipelines' own role."""

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
    """The statement could change something; it was not run."""


def check(statement: str) -> None:
    """Raise NotARead unless the statement is a single SELECT, WITH … SELECT, SHOW or DESCRIBE."""
    words = list(_words(statement))
    first = next((word for word, _ in words if word != "("), "")
    chained = any(word in (";", "->>") for word, _ in words)
    calls = any(word.startswith("system$") for word, _ in words)
    if first not in READS or chained or calls or (first == "with" and _verb(words) != "select"):
        raise NotARead(
            f"This statement was not run: {' '.join(statement.split())[:80]!r} may change something. `make sql` runs "
            "single SELECT, WITH … SELECT, SHOW and DESCRIBE statements without SYSTEM$ functions and `->>`. For "
            "others, use Snowflake's own client and a role that may run them."
        )


def bounded(statement: str, most: int) -> tuple[str, str]:
    """The statement with a limit of `most` rows, and one that counts its rows; as it is, and nothing, if it has one."""
    words = list(_words(statement))
    first = next((word for word, _ in words if word != "("), "")
    if first not in ("select", "with") or any(word in BOUNDS and depth == 0 for word, depth in words):
        return statement, ""
    # On lines of their own: the statement may end in a comment.
    return f"{statement}\nlimit {most}", f"select count(*) from (\n{statement}\n)"  # noqa: S608 - checked, and a person's own


def _verb(words: list[tuple[str, int]]) -> str:
    """What a statement that begins with WITH does, once the tables that it names are defined."""
    return next((word for word, depth in words if depth == 0 and word in VERBS), "")


def _words(statement: str) -> Iterator[tuple[str, int]]:
    """Names and signs in lower case, with the number of open parentheses; without comments and quoted text."""
    depth = 0
    for token in TOKEN.finditer(statement):
        if token["skipped"] is None:
            depth -= token[0] == ")"
            yield token[0].lower(), depth
            depth += token[0] == "("

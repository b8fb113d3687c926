"""A statement, the result that Snowflake's documentation gives, and the page that gives it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """A statement, and its rows or the words of its error.

    Args:
        sql: statements with a semicolon between them; the last one's result counts.
        result: rows, on Snowflake as on the emulator, or the part of an error that the emulator's message has.
        page: the page below docs.snowflake.com/en that says so.
        snowflake: what Snowflake returns, where the emulator refuses.
    """

    sql: str
    result: list[tuple[Any, ...]] | str
    page: str
    snowflake: str = ""

    @property
    def verdict(self) -> str:
        """How the emulator stands to Snowflake, in a word."""
        return "exact" if not self.snowflake else "refused"


DONE = [("Statement executed successfully.",)]
NAMES = "sql-reference/identifiers-syntax"
NUMBERS = "sql-reference/operators-arithmetic"
CONVERT = "sql-reference/data-type-conversion"
TIMES = "sql-reference/data-types-datetime"
FORMATS = "sql-reference/date-time-input-output"
TEXTS = "sql-reference/data-types-text"
SQL = "sql-reference/sql/"
FUNCTION = "sql-reference/functions/"


def one(*values: Any) -> list[tuple[Any, ...]]:
    return [values]

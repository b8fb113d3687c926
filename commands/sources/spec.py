"""The declaration of a source: its stream, columns and tests. The files are written from it, and it is read back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from blocks.errors import counted
from commands.sources.facts import Facts
from commands.sources.kinds import Column

MOST_PATHS = 20
"""How many paths of a nested column its description lists."""
MOST_VALUES = 12
"""At most this many different values make a column a candidate for the test accepted_values."""
FREE_TEXT = re.compile("(^|_)(comments?|notes?|remarks?|description|text)$")
"""Names of columns that may have any text."""
MIN_REPEATS = 10
"""How often each value must occur on average, so that their small number is no coincidence."""


@dataclass(frozen=True)
class ColumnSpec:
    """A column: `name` is its identifier, `raw` its name in the file, and `nulls` are the texts that mean null.

    An `optional` column may be missing from a file.
    """

    name: str
    raw: str
    type: str
    mock_type: str
    format: str = ""
    nulls: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    optional: bool = False

    @property
    def meta(self) -> dict[str, Any]:
        """Return what staging's macros and the comparison with another file need in addition to the type."""
        found: dict[str, Any] = {}
        if self.raw.lower() != self.name or self.raw != self.raw.strip():
            found["column"] = self.raw
        if self.format:
            found["format"] = self.format
        if self.nulls:
            found["null_values"] = list(self.nulls)
        if self.optional:
            found["optional"] = True
        return found


@dataclass(frozen=True)
class TestSpec:
    """A test of the table, or of a column if `column` is set, and the reason for it."""

    __test__ = False
    kind: str
    arguments: dict[str, Any]
    reason: str
    column: str = ""
    warns: bool = True


@dataclass(frozen=True)
class Spec:
    """A source as it is declared.

    `by_day` is the name of an aggregate by day, and `day` is its time column. A source is late after `late_days`
    without a new file; with 0, it is never late.
    """

    name: str
    key: list[str]
    columns: list[ColumnSpec]
    tests: list[TestSpec] = field(default_factory=list)
    format: dict[str, Any] = field(default_factory=dict)
    by_day: str = ""
    day: str = ""
    late_days: int = 0
    globs: list[str] = field(default_factory=list)

    @property
    def by_name(self) -> dict[str, ColumnSpec]:
        """The columns by identifier."""
        return {column.name: column for column in self.columns}


def spec_of(name: str, facts: Facts, by_day: str = "") -> Spec:
    """Return the spec to declare for a file.

    Args:
        name: name of the stream and the table.
        facts: the file's.
        by_day: name of the aggregate by day, or "" for none.
    """
    columns = [column_of(column) for column in facts.columns]
    tests = list(tests_of(facts))
    return Spec(name, facts.key, columns, tests, facts.reading.format, by_day, facts.days if by_day else "")


def column_of(column: Column) -> ColumnSpec:
    """Return the spec to declare for a column."""
    nulls, paths = tuple(sorted(column.spelled)), tuple(column.paths[:MOST_PATHS])
    if len(column.paths) > MOST_PATHS:
        paths += ("…",)
    return ColumnSpec(column.identifier, column.name, column.type, column.mock_type, column.format, nulls, paths)


def tests_of(facts: Facts) -> Iterator[TestSpec]:
    """Yield the tests that the rows of a file suggest."""
    rows = f"all {counted(facts.reading.rows, 'row')} of {facts.reading.file.name}"
    if facts.key:
        yield TestSpec("primary_key", {"columns": facts.key}, f"Unique and never null in {rows}.", warns=False)
    whole = [each.identifier for each in facts.columns if not each.nulls and each.identifier not in facts.key]
    if whole:
        yield TestSpec("never_null", {"columns": whole}, f"Never null in {rows}.")
    for column in facts.columns:
        if is_enumerated(column, facts):
            values = sorted(column.values)
            reason = f"The only values in {rows}."
            yield TestSpec("accepted_values", {"values": values}, reason, column.identifier)


def is_enumerated(column: Column, facts: Facts) -> bool:
    """Return whether a text column has so few values, each so often, that another value would be a surprise."""
    plain = not any(set("'\\{}") & set(value) for value in column.values)
    often = facts.reading.rows - column.nulls >= MIN_REPEATS * len(column.values)
    of_text = column.type in ("varchar", "text") and column.identifier not in facts.key
    of_text = of_text and not FREE_TEXT.search(column.identifier)
    return of_text and plain and often and 1 < len(column.values) <= MOST_VALUES and "" not in column.values

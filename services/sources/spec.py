"""What is declared of a source: its stream, its columns, its tests. It is written from it, and read back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from blocks.errors import counted
from services.sources.facts import Facts
from services.sources.kinds import Column

LISTED = 20
"""Paths of a nested column that its description names."""
FEW = 12
"""Values that a column may have at most to be tested for having no other."""
FREE = re.compile("(^|_)(comments?|notes?|remarks?|description|text)$")
"""Names of columns that may have any text."""
OFTEN = 10
"""How often each of them must be there on average, so that few values are no accident."""


@dataclass(frozen=True)
class ColumnSpec:
    """A column: `name` is an identifier, `raw` the file's name for it, `nulls` the texts that stand for null.

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
        """What staging's macros, and the comparison with another file, need beside the type."""
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
    """A test of the table or, with `column`, of a column, and the reason for it."""

    __test__ = False
    kind: str
    arguments: dict[str, Any]
    reason: str
    column: str = ""
    warns: bool = True


@dataclass(frozen=True)
class Spec:
    """A source as it is declared.

    `by_day` is the name of an aggregate, of which `day` is the column of time. A source without a new file for
    `late_days` is late; 0 means that it never is.
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
    """Return what to declare of a file.

    Args:
        name: of the stream and the table.
        facts: of the file.
        by_day: name of the aggregate by day, "" for none.
    """
    columns = [column_of(column) for column in facts.columns]
    tests = list(tests_of(facts))
    return Spec(name, facts.key, columns, tests, facts.reading.format, by_day, facts.days if by_day else "")


def column_of(column: Column) -> ColumnSpec:
    """Return what to declare of a column."""
    nulls, paths = tuple(sorted(column.spelled)), tuple(column.paths[:LISTED])
    if len(column.paths) > LISTED:
        paths += ("…",)
    return ColumnSpec(column.identifier, column.name, column.type, column.mock_type, column.format, nulls, paths)


def tests_of(facts: Facts) -> Iterator[TestSpec]:
    """The tests that the rows of a file suggest."""
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
    """Whether a column of text has so few values, so often each, that another one would be a surprise."""
    plain = not any(set("'\\{}") & set(value) for value in column.values)
    often = facts.reading.rows - column.nulls >= OFTEN * len(column.values)
    of_text = column.type in ("varchar", "text") and column.identifier not in facts.key
    of_text = of_text and not FREE.search(column.identifier)
    return of_text and plain and often and 1 < len(column.values) <= FEW and "" not in column.values

"""CSV in any dialect and encoding, parsed by Python's reader as in source-s3, and passed to DuckDB as JSON Lines.

This is about ten times slower than DuckDB's parser, which `csv_file` uses for the default dialect.
"""

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO, cast

import duckdb

from services.airbyte.formats import sql
from services.airbyte.formats.model import (
    BadFile,
    Field,
    Limits,
    Reading,
    TooLarge,
    check_is_text,
    check_names,
    check_rows,
    is_exact,
    size,
    without_path,
)
from services.airbyte.formats.settings import CsvFormat

UNREADABLE = "\udcff"
"""Replaces bytes that are invalid in the encoding. It cannot occur in decoded text."""
Row = tuple[int, list[str]]


codecs.register_error("mark-unreadable", lambda error: (UNREADABLE, cast(UnicodeDecodeError, error).end))


class _Lines:
    """The lines of a text with their line ends. `number` is the number of the last line that was read, from 1."""

    def __init__(self, text: TextIO, encoding: str, limit: int) -> None:
        self._text = text
        self._encoding = encoding
        self._limit = limit
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            BadFile: the line is too long, or has bytes that are invalid in the encoding.
        """
        if not (line := self._text.readline(self._limit + 1)):
            raise StopIteration
        self.number += 1
        if UNREADABLE in line:
            where = f"character {line.index(UNREADABLE) + 1} of the line is not {self._encoding}"
            raise BadFile(f"{where}. Set the stream's format.encoding to the file's encoding", self.number)
        if len(line) > self._limit:
            raise TooLarge(f"the line is longer than {size(self._limit)}", "MAX_LINE_SIZE", self.number)
        return line.removeprefix("\ufeff") if self.number == 1 else line

    def skip(self, count: int) -> None:
        for _ in islice(self, count):
            pass


class DialectFile:
    def __init__(self, path: Path, format: CsvFormat, limits: Limits) -> None:  # noqa: A002 - source-s3's name
        self.path = path
        self._format = format
        self._limits = limits
        self._rows = 0
        self.skipped = 0
        self.empty: Mapping[str, str] = {}
        csv.field_size_limit(limits.line_bytes)
        check_is_text(path)
        self.names = self._header()
        check_names(self.names, "the header", limits.columns, 1 + format.skip_rows_before_header)

    def infer(self) -> dict[str, str]:
        """Return text for each column, or with "Primitive Types Only" the narrowest type that fits all its values.

        With "Primitive Types Only", columns without values are left out.
        """
        if self._format.inference_type == "None":
            return dict.fromkeys(self.names, "string")
        booleans = {*self._format.true_values, *self._format.false_values}
        tests = {"boolean": booleans.__contains__, "integer": _is_integer, "number": _is_number}
        nulls, left = {*self._format.null_values}, [tests.copy() for _ in self.names]
        filled = set()
        for _, values in self._records():
            for at, value in enumerate(values):
                if value in nulls:
                    continue
                filled.add(at)
                for type_ in [type_ for type_, fits in left[at].items() if not fits(value)]:
                    del left[at][type_]
        return {self.names[at]: next(iter(left[at]), "string") for at in sorted(filled)}

    def readings(self, columns: Mapping[str, str]) -> Iterator[Reading]:
        """Yield one reading, with all values as text. A row's number is its line in the file."""
        types = {name.lower(): type_ for name, type_ in columns.items()}
        longest = self._rewrite([self._converter(types.get(name.lower(), "string")) for name in self.names])
        form = f"format = 'newline_delimited', maximum_object_size = {max(2 * longest, 16 << 20)}"
        relation = f"read_json({sql.text(str(self._json))}, columns = {{n: 'BIGINT', v: 'VARCHAR[]'}}, {form})"
        yield Reading(relation, [Field(name, f"v[{at}]") for at, name in enumerate(self.names, start=1)], "n")

    def check(self, written: int) -> None:
        """Raise BadFile unless `written` is the number of rows in the file."""
        self._json.unlink(missing_ok=True)
        check_rows(written, self._rows)

    def bad_file(self, error: duckdb.Error) -> BadFile:
        return BadFile(without_path(error, self._json))

    @property
    def _json(self) -> Path:
        return self.path.with_suffix(".rows")

    def _header(self) -> list[str]:
        """Return the column names without empty ones at the end; none if the file has no rows.

        Raises:
            BadFile: the header is empty, but rows follow it.
            TooLarge: the header is longer than the limit.
        """
        definition = self._format.header_definition
        if definition.column_names:
            return definition.column_names
        with self._lines() as lines:
            lines.skip(self._format.skip_rows_before_header)
            if not definition.has_row:
                lines.skip(self._format.skip_rows_after_header)
            line, first = next(self._parsed(lines), (0, []))
            if not any(map(str.strip, first)) and any(map(str.strip, lines)):
                raise BadFile("the header is empty, but rows follow it. Set skip_rows_before_header", line)
        if sum(map(len, first)) > (limit := self._limits.header_bytes):
            raise TooLarge(f"the header is longer than {size(limit)}", "MAX_HEADER_SIZE", line)
        if not definition.has_row:
            return [f"f{position}" for position in range(len(first))]
        names = [name.strip() for name in first]
        while names and not names[-1]:
            names.pop()
        return names

    def _records(self) -> Iterator[Row]:
        """Yield the rows with their line numbers. Each has one value for each column; empty lines are left out."""
        wanted, self.skipped = len(self.names), 0
        with self._lines() as lines:
            lines.skip(self._format.skip_rows_before_header)
            if self._format.header_definition.has_row:
                next(self._parsed(lines), None)
            lines.skip(self._format.skip_rows_after_header)
            for line, values in self._parsed(lines):
                if len(values) > wanted and not any(values[wanted:]):
                    del values[wanted:]
                if len(values) == wanted:
                    yield line, values
                elif values and not self._format.ignore_errors_on_fields_mismatch:
                    raise BadFile(f"the row has {len(values):,} values, but there are {wanted:,} columns", line)
                elif values:
                    self.skipped += 1

    def _parsed(self, lines: "_Lines") -> Iterator[Row]:
        chosen = self._format
        reader = csv.reader(
            lines,
            delimiter=chosen.delimiter,
            quotechar=chosen.quote_char,
            escapechar=chosen.escape_char,
            doublequote=chosen.double_quote,
            strict=True,
        )
        try:
            while True:
                began = lines.number + 1
                if (values := next(reader, None)) is None:
                    return
                yield began, values
        except csv.Error as error:
            raise BadFile(f"the row cannot be read: {error}", began) from None

    @contextmanager
    def _lines(self) -> Iterator["_Lines"]:
        encoding = self._format.encoding
        with self.path.open(encoding=encoding, errors="mark-unreadable", newline="") as text:
            yield _Lines(text, encoding, self._limits.line_bytes)

    def _rewrite(self, converters: list[Callable[[str], str | None]]) -> int:
        """Write the rows as JSON Lines; return the length of the longest one in bytes."""
        self._rows = longest = 0
        with self._json.open("wb") as out:
            for line, values in self._records():
                converted = [convert(value) for convert, value in zip(converters, values, strict=True)]
                written = out.write(json.dumps({"n": line, "v": converted}, ensure_ascii=False).encode() + b"\n")
                longest = max(longest, written)
                self._rows += 1
        return longest

    def _converter(self, type_: str) -> Callable[[str], str | None]:
        """Return a function that prepares a column's values as text. Empty values are null unless the type is text."""
        nulls = set(self._format.null_values)
        if type_ == "string":
            return (lambda value: None if value in nulls else value) if self._format.strings_can_be_null else str
        nulls.add("")
        if type_ in NUMBERS:
            return lambda value: None if value in nulls else _number(value, NUMBERS[type_])
        if type_ != "boolean":
            return lambda value: None if value in nulls else value
        booleans: dict[str, str | None] = dict.fromkeys(self._format.false_values, "false")
        booleans |= dict.fromkeys(self._format.true_values, "true") | dict.fromkeys(nulls)
        return lambda value: booleans.get(value, "neither true nor false")


NUMBERS: dict[str, type[int] | type[float]] = {"integer": int, "number": float}
"""source-s3 accepts as a number what Python accepts, such as 1_000."""


def _parses_as(kind: type[int] | type[float], value: str) -> bool:
    try:
        kind(value)
    except ValueError:
        return False
    return True


def _number(value: str, kind: type[int] | type[float]) -> str:
    """Return the number as DuckDB reads it: without underscores, surrounding spaces and non-ASCII digits."""
    if (value.isascii() and value.isalnum()) or not _parses_as(kind, value):
        return value
    return str(int(value)) if kind is int else value.strip().replace("_", "")


def _is_integer(value: str) -> bool:
    """Return whether the text is a plain 64-bit integer."""
    return bool(re.fullmatch("0|-?[1-9][0-9]{0,18}", value)) and -(2**63) <= int(value) < 2**63


def _is_number(value: str) -> bool:
    return bool(re.fullmatch(sql.PLAIN, value)) and is_exact(value)

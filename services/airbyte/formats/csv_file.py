"""CSV with a header line, commas and double quotes."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

import duckdb

from services.airbyte import sql
from services.airbyte.formats.model import BadFile, Field, Limits, Reading, TooLarge, check_names, check_rows
from services.airbyte.formats.survey import Survey

INFERRED = "['BOOLEAN', 'BIGINT', 'DOUBLE', 'VARCHAR']"  # source-s3's "Primitive Types Only"
SAMPLE_ROWS = 100_000
LARGE = "'\\s*[+-]?[0-9]{17,}\\s*'"
BUFFER = 32_000_000
"""Bytes that DuckDB reads at once where rows have its own default size."""
LONGEST = 1_900_000
"""Bytes of a row that DuckDB reads without being told."""


class CsvFile:
    """A file whose lines end in more than one way, which DuckDB does not read, is written anew with one."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, survey: Survey, limits: Limits) -> None:
        self._connection = connection
        self.path = path
        self._survey = survey
        csv.field_size_limit(limits.line_bytes)
        self._longest = limits.line_bytes
        self.names = read_header(path, limits)
        self._rows = _with_one_line_end(path) if survey.mixed_ends else max(survey.records - 1, 0)

    def infer(self) -> dict[str, str]:
        """Types from the first 100,000 rows."""
        options = f"auto_type_candidates = {INFERRED}, sample_size = {SAMPLE_ROWS}, all_varchar = false"
        query = f"DESCRIBE FROM read_csv({self._source()}, {options}, names = {self._names()}, {self._dialect()})"
        try:
            found = self._connection.execute(query).fetchall()
        except duckdb.Error:
            found = []
        if len(found) != len(self.names):  # some row has another number of values than the header
            return dict.fromkeys(self.names, "string")  # the reading below says what is wrong, and where
        types = {name: sql.column_type(row[1]) for name, row in zip(self.names, found, strict=True)}
        return types | dict.fromkeys(self._too_large(types), "string")

    def _too_large(self, types: Mapping[str, str]) -> list[str]:
        """Columns of numbers with an integer that a double may round, such as an id of twenty digits."""
        fields = {f"f{at}": name for at, name in enumerate(self.names) if types[name] == "number"}
        if not fields:
            return []
        large = ", ".join(f"coalesce(bool_or(regexp_full_match({field}, {LARGE})), false)" for field in fields)
        sample = f"FROM {self._read(['VARCHAR'] * len(self.names))} LIMIT {SAMPLE_ROWS}"
        try:
            row = self._connection.execute(f"SELECT {large} FROM ({sample})").fetchone() or ()  # noqa: S608 - quoted
        except duckdb.Error:  # a row that cannot be read, of which the reading says where it is
            return []
        return [name for name, found in zip(fields.values(), row, strict=True) if found]

    def readings(self, columns: Mapping[str, str]) -> Iterator[Reading]:
        """Cast while parsing; where a value does not fit its type, read all as text.

        DuckDB rounds 1.5 to an integer 2 without a word, so with fractions in the file integers are read as doubles
        and the reading stops at one that is not whole, or too large for a double to be exact.
        """
        declared = {name.lower(): type_ for name, type_ in columns.items()}
        types, fields = [], []
        for position, name in enumerate(self.names):
            type_, value = declared.get(name.lower(), "string"), f"f{position}"
            type_ = "string" if type_ == "object" else type_
            guarded = self._survey.fractions and type_ == "integer"
            types.append("DOUBLE" if guarded else sql.DUCKDB_TYPES[type_])
            checked = sql.finite(value, type_) if type_ in sql.FINITE else value
            fields.append(Field(name, _whole(value) if guarded else checked, type_))
        yield Reading(self._read(types), fields)
        text = [Field(name, f"f{position}") for position, name in enumerate(self.names)]
        yield Reading(self._read(["VARCHAR"] * len(text)), text)

    def bad_file(self, error: duckdb.Error) -> BadFile:
        """DuckDB's message without the row's own text, its advice and the dump of its options."""
        if "Maximum line size" in str(error):
            line = re.search(r"CSV Error on Line: (\d+)", str(error))
            return TooLarge(
                "the row is too long, or a quote in it is not closed",
                "MAX_LINE_SIZE",
                int(line.group(1)) if line else None,
            )
        if "state machine" in str(error):
            return BadFile("its lines end in more than one way (CR LF, LF, CR), or a quote is not closed")
        line = re.search(r"CSV Error on Line: (\d+)", str(error))
        said = re.split(r"\n\s*(?:Possible|file =)", str(error))[0].strip().splitlines()
        reason = said[-1] if line else said[0].removeprefix("Invalid Input Error: ")
        return BadFile(reason, int(line.group(1)) if line else None)

    def check(self, written: int) -> None:
        """Raise BadFile unless `written` rows are all that the file has."""
        if written != self._rows:  # a quote within a value, or an empty line, which the quick count takes for a row
            check_rows(written, _count(self.path))

    def _read(self, types: list[str]) -> str:
        fields = ", ".join(f"'f{position}': '{type_}'" for position, type_ in enumerate(types))
        return f"read_csv({self._source()}, columns = {{{fields}}}, auto_detect = false, {self._dialect()})"

    def _dialect(self) -> str:
        longest = self._longest if self._survey.stray else self._survey.longest + 1000
        if not self._survey.stray and longest <= LONGEST:
            return _DIALECT
        return f"{_DIALECT}, max_line_size = {longest}, buffer_size = {max(BUFFER, 2 * longest)}"

    def _source(self) -> str:
        return sql.text(str(self.path))

    def _names(self) -> str:
        return f"[{', '.join(map(sql.text, self.names))}]"


_DIALECT = (
    "header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', null_padding = false, strict_mode = true"
)


def _whole(value: str) -> str:
    whole = f"{value} IS NULL OR ({value} = floor({value}) AND abs({value}) < 9007199254740992)"
    return f"CASE WHEN {whole} THEN {value}::BIGINT ELSE error('no integer')::BIGINT END"


def read_header(path: Path, limits: Limits) -> list[str]:
    """The column names in the file's order; none when the file is empty."""
    with _text(path) as lines:
        try:
            header = next(csv.reader(_within(lines, limits.header_bytes), strict=True), [])
        except csv.Error as error:
            raise BadFile(f"the header cannot be read: {error}", 1) from None
    names = [name.strip() for name in header]
    check_names(names, "the header", limits.columns, 1)
    return names


def _within(lines: Iterable[str], most: int) -> Iterator[str]:
    """The lines of the header, which has several where a name has line ends."""
    for line in lines:
        most -= len(line)
        if most < 0:
            raise TooLarge("the header is too long, or a quote in it is not closed", "MAX_HEADER_SIZE", 1)
        yield line


def _count(path: Path) -> int:
    """Rows by Python's own reader, which takes a quote within a value for what it is and leaves empty lines out."""
    with _text(path) as lines:
        try:
            return max(sum(1 for row in csv.reader(lines, skipinitialspace=True) if row) - 1, 0)
        except csv.Error as error:
            raise BadFile(f"its rows cannot be counted: {error}") from None


def _with_one_line_end(path: Path) -> int:
    """Write the file anew with LF for every line end outside of quotes; return its rows."""
    rewritten = path.with_suffix(".lf")
    rows = -1
    with _text(path) as lines, rewritten.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        reader, writer = csv.reader(lines, strict=True), csv.writer(out, lineterminator="\n")
        try:
            for row in filter(None, reader):
                writer.writerow(row)
                rows += 1
        except csv.Error as error:
            raise BadFile(f"it cannot be read: {error}", reader.line_num) from None
    rewritten.replace(path)
    return max(rows, 0)


def _text(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

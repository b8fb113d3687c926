"""CSV with a header line, commas and double quotes."""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import duckdb

from services.airbyte import sql
from services.airbyte.formats.model import (
    BadFile,
    Field,
    Limits,
    Reading,
    TooLarge,
    check_is_text,
    check_names,
    check_rows,
)
from services.airbyte.formats.survey import Survey

CANDIDATES = ("boolean", "integer", "number")  # source-s3's "Primitive Types Only", besides text
SAMPLE_ROWS = 100_000
CHECKED = {"date": ("____-__-__",), "timestamp_without_timezone": ("____-__-_____:__:__", "____-__-__")}
"""Shapes of text without what these types do not keep: a time of day, a zone."""
BUFFER = 32_000_000
"""Bytes that DuckDB reads at once where rows have its own default size."""
LONGEST = 1_900_000
"""Bytes of a row that DuckDB reads without being told."""
REASONS = {
    r"Expected Number of Columns: (\d+) Found: (\d+)": r"the row has \2 values, but the header names \1 columns. Look "
    "for a delimiter or a line end that is missing, or that is part of a value without quotes. If the header stands "
    "further down, set the stream's format.skip_rows_before_header",
    "unterminated quote": "a quote is not closed, or text follows a closing quote. Write a quote in a value twice",
    "not utf-8": "the row is not UTF-8. Save the file as UTF-8, or set the stream's format.encoding",
}
"""DuckDB's words for what is wrong with a row, and ours."""


class CsvFile:
    """A file whose lines end in more than one way, which DuckDB does not read, is written anew with one."""

    skipped = 0
    empty: Mapping[str, str] = {}

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, survey: Survey, limits: Limits) -> None:
        self._connection = connection
        self.path = path
        self._survey = survey
        csv.field_size_limit(limits.line_bytes)
        self._longest = limits.line_bytes
        self._width, self.names = read_header(path, limits)
        self._rows = _with_one_line_end(path) if survey.mixed_ends else max(survey.records - 1, 0)

    def infer(self) -> dict[str, str]:
        """The narrowest type of all values of each column; columns without a value are left out.

        Only a number that is nothing else counts as one: see `sql.PLAIN`. The first rows settle most columns of text.
        """
        types = self._narrowest(dict.fromkeys(range(len(self.names)), CANDIDATES), SAMPLE_ROWS)
        left = {at: CANDIDATES[CANDIDATES.index(type_) :] for at, type_ in types.items() if type_ in CANDIDATES}
        left |= {at: CANDIDATES for at in range(len(self.names)) if at not in types}
        if left and self._rows > SAMPLE_ROWS:
            types |= self._narrowest(left)
        return {self.names[at]: type_ for at, type_ in types.items()}

    def _narrowest(self, candidates: Mapping[int, Sequence[str]], most: int | None = None) -> dict[int, str]:
        """The first type that each column's values all have, by the column's place, of the first `most` rows."""
        asked = [(at, type_) for at, types in candidates.items() for type_ in types]
        tests = [self._test(f"f{at}", type_) for at, type_ in asked] + [f"count(f{at}) > 0" for at in candidates]
        rows = f"FROM {self._read(['VARCHAR'] * len(self.names))}" + (f" LIMIT {most}" if most else "")
        try:
            found = self._connection.execute(f"SELECT {', '.join(tests)} FROM ({rows})").fetchone() or ()  # noqa: S608
        except duckdb.Error:  # a row that cannot be read, of which the reading says where it is
            return dict.fromkeys(candidates, "string")
        fits = dict(zip(asked, found, strict=False))
        filled = [at for at, some in zip(candidates, found[len(asked) :], strict=True) if some]
        return {at: next((type_ for type_ in candidates[at] if fits[at, type_]), "string") for at in filled}

    def _test(self, field: str, type_: str) -> str:
        """SQL for whether all values of a column have a type."""
        match type_:
            case "boolean":
                return f"bool_and(lower({field}) IN ('true', 'false'))"
            case "integer":
                return f"bool_and(coalesce(TRY_CAST({field} AS BIGINT)::VARCHAR = {field}, {field} IS NULL))"
        exact = f" AND {sql.is_exact(field, f'TRY_CAST({field} AS DOUBLE)')}"
        number = f"(regexp_full_match({field}, '{sql.PLAIN}'){exact if self._survey.long else ''})"
        return f"bool_or({number}) AND bool_and({number} OR regexp_full_match({field}, '{sql.NOT_FINITE}'))"

    def readings(self, columns: Mapping[str, str]) -> Iterator[Reading]:
        """Cast while parsing; where a value does not fit its type, or might lose a part, read all as text.

        DuckDB rounds 1.5 to an integer 2 without a word, so with fractions in the file integers are read as doubles
        and the reading stops at one that is not whole, or too large for a double to be exact. Without fractions they
        are read as decimals, since DuckDB takes 0x1F and 0b11 for integers. It takes the text "epoch" and years of two
        digits for dates too, so the reading stops at what these become.
        """
        declared = {name.lower(): type_ for name, type_ in columns.items()}
        types = [declared.get(name.lower(), "string") for name in self.names]
        types = ["string" if type_ in sql.NESTED else type_ for type_ in types]
        if not self._may_cut(types):
            fields = [Field(name, self._checked(at, types[at]), types[at]) for at, name in enumerate(self.names)]
            yield Reading(self._read([self._type_read(type_) for type_ in types]), fields)
        text = [Field(name, f"f{position}") for position, name in enumerate(self.names)]
        yield Reading(self._read(["VARCHAR"] * len(text)), text)

    def _may_cut(self, types: Collection[str]) -> bool:
        times = {"timestamp_with_timezone", "timestamp_without_timezone"}
        return (self._survey.long and "number" in types) or (self._survey.fine and not times.isdisjoint(types))

    def _type_read(self, type_: str) -> str:
        if type_ in CHECKED:
            return "VARCHAR"
        if type_ != "integer":
            return sql.DUCKDB_TYPES[type_]
        if self._survey.fractions:
            return "DOUBLE"
        return "DECIMAL(19, 0)" if self._survey.long else "DECIMAL(18, 0)"

    def _checked(self, at: int, type_: str) -> str:
        """The value of a column, or an error if it is not all that its text says."""
        value = f"f{at}"
        if type_ in CHECKED:
            shape = " OR ".join(f"{value} LIKE '{shape}'" for shape in CHECKED[type_])
            value = f"(CASE WHEN {value} IS NULL OR {shape} THEN {value} ELSE error('not {type_}') END)"
            return f"{value}::{sql.DUCKDB_TYPES[type_]}"
        if type_ == "integer":
            return _whole(value) if self._survey.fractions else f"{value}::BIGINT"
        if type_ == "timestamp_with_timezone":
            stop = f"error('not a date with four digits of the year')::{sql.DUCKDB_TYPES[type_]}"
            value = (
                f"(CASE WHEN {value} < TIMESTAMPTZ '1000-01-01' OR epoch_us({value}) = 0 THEN {stop} ELSE {value} END)"
            )
        return sql.finite(value, type_) if type_ in sql.FINITE else value

    def bad_file(self, error: duckdb.Error) -> BadFile:
        """DuckDB's message without the row's own text, its advice and the dump of its options."""
        if "Maximum line size" in str(error):
            line = re.search(r"CSV Error on Line: (\d+)", str(error))
            return TooLarge(
                "the row is too long, or a quote in it is not closed",
                "MAX_LINE_SIZE",
                int(line.group(1)) if line else None,
            )
        if "no name for a value" in str(error):
            return BadFile("the row has a value after the last column of the header", self._first_long_row())
        if "state machine" in str(error):
            return BadFile("its lines end in more than one way (CR LF, LF, CR), or a quote is not closed")
        line = re.search(r"CSV Error on Line: (\d+)", str(error))
        said = re.split(r"\n\s*(?:Possible|file =)", str(error))[0].strip().splitlines()
        reason = said[-1] if line else said[0].removeprefix("Invalid Input Error: ")
        reason = next(
            (match.expand(ours) for said, ours in REASONS.items() if (match := re.search(said, reason))), reason
        )
        return BadFile(reason, int(line.group(1)) if line else None)

    def _first_long_row(self) -> int | None:
        """The line of the first row with a value in a column that the header does not name."""
        with _text(self.path) as lines:
            reader, began = csv.reader(lines), 1
            for row in reader:
                if any(row[len(self.names) :]):
                    return began
                began = reader.line_num + 1
        return None

    def check(self, written: int) -> None:
        """Raise BadFile unless `written` rows are all that the file has."""
        if written != self._rows:  # a quote within a value, or an empty line, which the quick count takes for a row
            check_rows(written, _count(self.path))

    def _read(self, types: list[str]) -> str:
        unnamed = ["VARCHAR"] * (self._width - len(types))
        fields = ", ".join(f"'f{position}': '{type_}'" for position, type_ in enumerate([*types, *unnamed]))
        rows = f"read_csv({self._source()}, columns = {{{fields}}}, auto_detect = false, {self._dialect()})"
        if not unnamed:
            return rows
        filled = " OR ".join(f"f{position} IS NOT NULL" for position in range(len(types), self._width))
        stop = "error('no name for a value')::BOOLEAN"
        return f"(FROM {rows} WHERE CASE WHEN {filled} THEN {stop} ELSE true END)"

    def _dialect(self) -> str:
        longest = self._longest if self._survey.stray else self._survey.longest + 1000
        if not self._survey.stray and longest <= LONGEST:
            return _DIALECT
        return f"{_DIALECT}, max_line_size = {longest}, buffer_size = {max(BUFFER, 2 * longest)}"

    def _source(self) -> str:
        return sql.text(str(self.path))


_DIALECT = (
    "header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', null_padding = false, strict_mode = true"
)


def _whole(value: str) -> str:
    whole = f"{value} IS NULL OR ({value} = floor({value}) AND abs({value}) < 9007199254740992)"
    return f"CASE WHEN {whole} THEN {value}::BIGINT ELSE error('no integer')::BIGINT END"


def read_header(path: Path, limits: Limits) -> tuple[int, list[str]]:
    """How many values the header has, and the column names in the file's order; none when the file is empty.

    Trailing columns without a name, which spreadsheets write, are left out.
    """
    check_is_text(path)
    with _text(path) as lines:
        check_is_header(lines.readline(limits.header_bytes).strip())
        lines.seek(0)
        try:
            header = next(csv.reader(_within(lines, limits.header_bytes), strict=True), [])
        except csv.Error as error:
            advice = "If something other than a comma separates the names, set the stream's format.delimiter"
            raise BadFile(f"the header cannot be read: {error}. {advice}", 1) from None
        if not header and any(map(str.strip, lines)):
            raise BadFile("the first line is empty. Set the stream's format.skip_rows_before_header, or remove it", 1)
    names = [name.strip() for name in header]
    while len(names) > 1 and not names[-1]:
        names.pop()
    check_names(names, "the header", limits.columns, 1)
    return len(header), names


def check_is_header(first: str) -> None:
    """Raise BadFile for a first line that surely is something else, which would be loaded as a column's name."""
    if found := re.fullmatch("sep=(.),?", first, re.IGNORECASE):
        raise BadFile(
            f"its first line says that {found[1]!r} separates the values. Set the stream's format.delimiter to "
            f"{found[1]!r} and format.skip_rows_before_header to 1",
            1,
        )
    if re.match(r'[{\[]\s*["{\[\d]', first):
        raise BadFile("its first line is JSON, not a header. Set the stream's format to {filetype: jsonl}", 1)
    if re.match(r"<(!doctype|html|\?xml)", first, re.IGNORECASE):
        raise BadFile("its first line is HTML or XML, not a header. Download or export the file again", 1)


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
        # A carriage return in a value needs its quotes, which a writer with other line ends would leave out.
        reader, writer = csv.reader(lines, strict=True), csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
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

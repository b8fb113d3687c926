"""CSV in the default dialect: a header line, commas and double quotes. DuckDB parses it."""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

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
)
from services.airbyte.formats.survey import Survey

CANDIDATES = ("boolean", "integer", "number")  # source-s3's "Primitive Types Only", in addition to text
SAMPLE_ROWS = 100_000
LOSSLESS_PATTERNS = {"date": ("____-__-__",), "timestamp_without_timezone": ("____-__-_____:__:__", "____-__-__")}
"""Patterns of text that these types keep completely, so without a time of day or a time zone."""
DEFAULT_BUFFER = 32_000_000
"""DuckDB's default buffer size in bytes."""
MAX_DEFAULT_ROW = 1_900_000
"""Rows up to this size in bytes need no option: DuckDB's default limit is 2 MB."""
MESSAGES = {
    r"Expected Number of Columns: (\d+) Found: (\d+)": r"the row has \2 values, but the header names \1 columns. Look "
    "for a delimiter or a line end that is missing, or that is part of an unquoted value. If the header is further "
    "down, set the stream's format.skip_rows_before_header",
    "unterminated quote": "a quote is not closed, or text follows a closing quote. Double each quote inside a value",
    "not utf-8": "the row is not UTF-8. Save the file as UTF-8, or set the stream's format.encoding",
}
"""DuckDB's errors about a row (regular expressions), and our messages."""


class CsvFile:
    """A file with mixed line ends, which DuckDB does not read, is rewritten with LF."""

    skipped = 0
    empty: Mapping[str, str] = {}

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, survey: Survey, limits: Limits) -> None:
        self._connection = connection
        self.path = path
        self._survey = survey
        csv.field_size_limit(limits.line_bytes)
        self._max_row = limits.line_bytes
        self._width, self.names = read_header(path, limits)
        self._rows = _normalize_line_ends(path) if survey.mixed_ends else max(survey.records - 1, 0)

    def infer(self) -> dict[str, str]:
        """Return the narrowest type that fits all values of each column; columns without values are left out.

        Only text that is safe to read as a number counts as one: see `sql.PLAIN`. The sample decides most text columns.
        """
        types = self._narrowest(dict.fromkeys(range(len(self.names)), CANDIDATES), SAMPLE_ROWS)
        left = {at: CANDIDATES[CANDIDATES.index(type_) :] for at, type_ in types.items() if type_ in CANDIDATES}
        left |= {at: CANDIDATES for at in range(len(self.names)) if at not in types}
        if left and self._rows > SAMPLE_ROWS:
            types |= self._narrowest(left)
        return {self.names[at]: type_ for at, type_ in types.items()}

    def _narrowest(self, candidates: Mapping[int, Sequence[str]], limit: int | None = None) -> dict[int, str]:
        """Return the first candidate that fits all values of each column, by position, in the first `limit` rows."""
        asked = [(at, type_) for at, types in candidates.items() for type_ in types]
        tests = [self._test(f"f{at}", type_) for at, type_ in asked] + [f"count(f{at}) > 0" for at in candidates]
        rows = f"FROM {self._read(['VARCHAR'] * len(self.names))}" + (f" LIMIT {limit}" if limit else "")
        try:
            found = self._connection.execute(f"SELECT {', '.join(tests)} FROM ({rows})").fetchone() or ()  # noqa: S608
        except duckdb.Error:  # an invalid row, which is reported with its line when the file is read
            return dict.fromkeys(candidates, "string")
        fits = dict(zip(asked, found, strict=False))
        filled = [at for at, some in zip(candidates, found[len(asked) :], strict=True) if some]
        return {at: next((type_ for type_ in candidates[at] if fits[at, type_]), "string") for at in filled}

    def _test(self, field: str, type_: str) -> str:
        """Return SQL for whether all values of a column have this type."""
        match type_:
            case "boolean":
                return f"bool_and(lower({field}) IN ('true', 'false'))"
            case "integer":
                return f"bool_and(coalesce(TRY_CAST({field} AS BIGINT)::VARCHAR = {field}, {field} IS NULL))"
        exact = f" AND {sql.is_exact(field, f'TRY_CAST({field} AS DOUBLE)')}"
        number = f"(regexp_full_match({field}, '{sql.PLAIN}'){exact if self._survey.long else ''})"
        return f"bool_or({number}) AND bool_and({number} OR regexp_full_match({field}, '{sql.NOT_FINITE}'))"

    def readings(self, columns: Mapping[str, str]) -> Iterator[Reading]:
        """Yield a reading that casts while parsing, then one that reads all values as text.

        The second one is for files with values that do not fit their type, or might lose a part. The first one stops
        at such values, because DuckDB accepts some of them silently:

        - It rounds 1.5 to an integer 2. So if the file has fractions, integers are read as doubles, and the reading
          stops at one that is not whole, or too large for an exact double.
        - It reads 0x1F and 0b11 as integers. So if the file has no fractions, integers are read as decimals.
        - It reads "epoch" and two-digit years as dates. So the reading stops at the dates that these become.
        """
        declared = {name.lower(): type_ for name, type_ in columns.items()}
        types = [declared.get(name.lower(), "string") for name in self.names]
        types = ["string" if type_ in sql.NESTED else type_ for type_ in types]
        if not self._may_lose_part(types):
            fields = [Field(name, self._checked_value(at, types[at]), types[at]) for at, name in enumerate(self.names)]
            yield Reading(self._read([self._read_type(type_) for type_ in types]), fields)
        text = [Field(name, f"f{position}") for position, name in enumerate(self.names)]
        yield Reading(self._read(["VARCHAR"] * len(text)), text)

    def _may_lose_part(self, types: Collection[str]) -> bool:
        times = {"timestamp_with_timezone", "timestamp_without_timezone"}
        return (self._survey.long and "number" in types) or (self._survey.fine and not times.isdisjoint(types))

    def _read_type(self, type_: str) -> str:
        if type_ in LOSSLESS_PATTERNS:
            return "VARCHAR"
        if type_ != "integer":
            return sql.DUCKDB_TYPES[type_]
        if self._survey.fractions:
            return "DOUBLE"
        return "DECIMAL(19, 0)" if self._survey.long else "DECIMAL(18, 0)"

    def _checked_value(self, at: int, type_: str) -> str:
        """Return SQL for a column's value, which raises an error if the value lost a part of its text."""
        value = f"f{at}"
        if type_ in LOSSLESS_PATTERNS:
            shape = " OR ".join(f"{value} LIKE '{shape}'" for shape in LOSSLESS_PATTERNS[type_])
            value = f"(CASE WHEN {value} IS NULL OR {shape} THEN {value} ELSE error('not {type_}') END)"
            return f"{value}::{sql.DUCKDB_TYPES[type_]}"
        if type_ == "integer":
            return _whole_number(value) if self._survey.fractions else f"{value}::BIGINT"
        if type_ == "timestamp_with_timezone":
            stop = f"error('not a date with a four-digit year')::{sql.DUCKDB_TYPES[type_]}"
            value = (
                f"(CASE WHEN {value} < TIMESTAMPTZ '1000-01-01' OR epoch_us({value}) = 0 THEN {stop} ELSE {value} END)"
            )
        return sql.finite(value, type_) if type_ in sql.FINITE else value

    def bad_file(self, error: duckdb.Error) -> BadFile:
        """Turn DuckDB's error into a short message without the row's text, DuckDB's advice and its options."""
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
            return BadFile("it has mixed line ends (CR LF, LF, CR), or a quote is not closed")
        line = re.search(r"CSV Error on Line: (\d+)", str(error))
        lines = re.split(r"\n\s*(?:Possible|file =)", str(error))[0].strip().splitlines()
        reason = lines[-1] if line else lines[0].removeprefix("Invalid Input Error: ")
        reason = next(
            (match.expand(text) for pattern, text in MESSAGES.items() if (match := re.search(pattern, reason))), reason
        )
        return BadFile(reason, int(line.group(1)) if line else None)

    def _first_long_row(self) -> int | None:
        """Return the line of the first row with more values than the header has names."""
        with _open_text(self.path) as lines:
            reader, began = csv.reader(lines), 1
            for row in reader:
                if any(row[len(self.names) :]):
                    return began
                began = reader.line_num + 1
        return None

    def check(self, written: int) -> None:
        """Raise BadFile unless `written` is the number of rows in the file."""
        if written != self._rows:  # the fast count is wrong for empty lines and for quotes inside values
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
        longest = self._max_row if self._survey.stray else self._survey.longest + 1000
        if not self._survey.stray and longest <= MAX_DEFAULT_ROW:
            return _DIALECT
        return f"{_DIALECT}, max_line_size = {longest}, buffer_size = {max(DEFAULT_BUFFER, 2 * longest)}"

    def _source(self) -> str:
        return sql.text(str(self.path))


_DIALECT = (
    "header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', null_padding = false, strict_mode = true"
)


def _whole_number(value: str) -> str:
    whole = f"{value} IS NULL OR ({value} = floor({value}) AND abs({value}) < 9007199254740992)"
    return f"CASE WHEN {whole} THEN {value}::BIGINT ELSE error('no integer')::BIGINT END"


def read_header(path: Path, limits: Limits) -> tuple[int, list[str]]:
    """Return the number of values in the header, and the column names; none if the file is empty.

    Trailing columns without a name, which spreadsheets write, are left out.

    Raises:
        BadFile: the header is missing or invalid.
    """
    check_is_text(path)
    with _open_text(path) as lines:
        check_is_header(lines.readline(limits.header_bytes).strip())
        lines.seek(0)
        try:
            header = next(csv.reader(_limited(lines, limits.header_bytes), strict=True), [])
        except csv.Error as error:
            advice = "If the delimiter is not a comma, set the stream's format.delimiter"
            raise BadFile(f"the header cannot be read: {error}. {advice}", 1) from None
        if not header and any(map(str.strip, lines)):
            raise BadFile("the first line is empty. Set the stream's format.skip_rows_before_header, or remove it", 1)
    names = [name.strip() for name in header]
    while len(names) > 1 and not names[-1]:
        names.pop()
    check_names(names, "the header", limits.columns, 1)
    return len(header), names


def check_is_header(first: str) -> None:
    """Raise BadFile if the first line is clearly not a header: it would be loaded as a column's name."""
    if found := re.fullmatch("sep=(.),?", first, re.IGNORECASE):
        raise BadFile(
            f"its first line says that the delimiter is {found[1]!r}. Set the stream's format.delimiter to "
            f"{found[1]!r} and format.skip_rows_before_header to 1",
            1,
        )
    if re.match(r'[{\[]\s*["{\[\d]', first):
        raise BadFile("its first line is JSON, not a header. Set the stream's format to {filetype: jsonl}", 1)
    if re.match(r"<(!doctype|html|\?xml)", first, re.IGNORECASE):
        raise BadFile("its first line is HTML or XML, not a header. Download or export the file again", 1)


def _limited(lines: Iterable[str], limit: int) -> Iterator[str]:
    """Yield the header's lines up to a size limit. A name with a line end spans several lines."""
    for line in lines:
        limit -= len(line)
        if limit < 0:
            raise TooLarge("the header is too long, or a quote in it is not closed", "MAX_HEADER_SIZE", 1)
        yield line


def _count(path: Path) -> int:
    """Count the rows with Python's reader, which handles quotes inside values and skips empty lines."""
    with _open_text(path) as lines:
        try:
            return max(sum(1 for row in csv.reader(lines, skipinitialspace=True) if row) - 1, 0)
        except csv.Error as error:
            raise BadFile(f"its rows cannot be counted: {error}") from None


def _normalize_line_ends(path: Path) -> int:
    """Rewrite the file with LF for each line end outside of quotes; return its number of rows."""
    rewritten = path.with_suffix(".lf")
    rows = -1
    with _open_text(path) as lines, rewritten.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        # A carriage return in a value must stay quoted. A writer with LF line ends would not quote it by default.
        reader, writer = csv.reader(lines, strict=True), csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        try:
            for row in filter(None, reader):
                writer.writerow(row)
                rows += 1
        except csv.Error as error:
            raise BadFile(f"it cannot be read: {error}", reader.line_num) from None
    rewritten.replace(path)
    return max(rows, 0)


def _open_text(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

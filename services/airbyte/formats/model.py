"""What all file formats share: errors, limits, readings, and checks of column names."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb

from services.airbyte.formats import sql

RESERVED = ("_airbyte_", "_ab_")
CDC_PREFIX = "_ab_cdc_"
"""Prefix of the columns in which Airbyte's database sources describe a change (CDC)."""
ROW_NUMBER = "row_number() OVER ()"


class BadFile(Exception):
    """The file cannot be parsed. `line` counts from 1, and is None if the parser does not report it."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class TooLarge(BadFile):
    """The file exceeds a limit, which the mock's environment variable MOCK_AIRBYTE_`setting` can raise."""

    def __init__(self, reason: str, setting: str, line: int | None = None) -> None:
        super().__init__(f"{reason}. If the file is valid, raise MOCK_AIRBYTE_{setting}", line)


@dataclass(frozen=True)
class Limits:
    """The limits for a file. Sizes are in bytes; `gzip_ratio` is the decompressed size over the compressed size."""

    file_bytes: int = 10 * 10**9
    gzip_ratio: int = 100
    line_bytes: int = 16 * 2**20
    header_bytes: int = 2**20
    columns: int = 2000


@dataclass(frozen=True)
class Field:
    """A column of a file: SQL for its value, and a column type that all its values are known to have.

    `truncated` is SQL that is true for a value that was truncated or rounded.
    """

    name: str
    sql: str
    type: str = "string"
    truncated: str = ""


@dataclass(frozen=True)
class Reading:
    """One way to read a file: the relation to select from, its columns, and SQL for a row's number in the file.

    By default, DuckDB counts the rows, but then it reads the file with one thread. So a format that knows the number
    passes it.
    """

    relation: str
    fields: list[Field]
    row: str = ROW_NUMBER


def is_exact(number: str) -> bool:
    """Return whether a double keeps all digits of a number's text. `sql.is_exact` is the same for DuckDB."""
    double = float(number)
    return _digits(number) in (_digits(repr(double)), _digits(f"{double:.17g}"))


def _digits(number: str) -> str:
    return re.sub("[^0-9]", "", re.split("[eE]", number)[0]).strip("0")


def without_path(error: duckdb.Error, path: Path) -> str:
    """Return the first line of DuckDB's message without the path of the local file, which would not help the user."""
    line = str(error).splitlines()[0].removeprefix("Invalid Input Error: ").removeprefix("IO Error: ")
    return re.sub(rf"""(?: in| from|:)?(?: file)?:? ["']?{re.escape(str(path))}["']?""", "", line)


def size(count: int) -> str:
    """Format a number of bytes for messages."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def check_rows(written: int, counted: int) -> None:
    """Raise BadFile unless all rows of the file were written."""
    if written != counted:
        raise BadFile(f"the file has {counted:,} rows, but {written:,} were read from it")


SUFFIX_ADVICE = "Rename the key with the suffix of the file's format, or upload the file again"
MAGIC = {b"PK\x03\x04": "a zip archive or a spreadsheet", b"\x1f\x8b": "gzip data", b"PAR1": "Parquet"}


def check_is_text(path: Path) -> None:
    """Raise BadFile if the file starts with the magic number of another format."""
    with path.open("rb") as data:
        start = data.read(4)
    if other_format := next((other_format for magic, other_format in MAGIC.items() if start.startswith(magic)), ""):
        raise BadFile(
            f"it is {other_format}, not text. Rename the key with the suffix of its format, or upload it as CSV"
        )


ENCODING_ADVICE = ". If it is text, set the stream's format.encoding to the file's, such as utf-16 or latin-1"


def check_names(names: list[str], where: str, limit: int, line: int | None = None) -> None:
    """Raise BadFile unless the names can be the columns of one table. Names that differ only by case are duplicates."""
    if len(names) > limit:
        raise TooLarge(f"{where} has more than {limit:,} columns", "MAX_COLUMNS", line)
    seen: dict[str, str] = {}
    for position, name in enumerate(names, start=1):
        if re.search("[\udc80-\udcff]", name):
            raise BadFile(f"column {position} of {where} is not UTF-8{ENCODING_ADVICE}", line)
        if "\0" in name:
            raise BadFile(f"column {position} of {where} has a NUL character in its name{ENCODING_ADVICE}", line)
        if not name.strip():
            raise BadFile(f"column {position} of {where} has no name. {UNNAMED_ADVICE if line else 'Name it'}", line)
        if (first := seen.setdefault(name.lower(), name)) != name:
            raise BadFile(f"{where} names columns {first!r} and {name!r}, and case does not count. Rename one", line)
        if position > len(seen):
            raise BadFile(f"{where} names column {name!r} twice. Rename one", line)
        if is_reserved(name):
            raise BadFile(f"{where} names column {name!r}, which is reserved for Airbyte. Rename it", line)


def is_reserved(name: str) -> bool:
    """Return whether a column's name is reserved for the columns that Airbyte adds to each row."""
    return name.lower().startswith(RESERVED) and not name.lower().startswith(CDC_PREFIX)


UNNAMED_ADVICE = (
    "Name it in the file, or in the stream's format: skip_rows_before_header: 1, and header_definition: "
    "{header_definition_type: User Provided, column_names: […]}. If the header is further down, set "
    "format.skip_rows_before_header to the number of lines before it"
)


def widest(known: str, other: str) -> str:
    """Return a column type that fits the values of both types. A nested column stays nested: a union fits any JSON."""
    if known == other:
        return known
    if known in sql.NESTED:
        return "union"
    return "number" if {known, other} == {"integer", "number"} else "string"


def check_shared(names: Collection[str], known: Collection[str]) -> None:
    """Raise BadFile if a file and its stream have no column in common: all values of its rows would be null."""
    if not names or not known or {name.lower() for name in known} & {name.lower() for name in names}:
        return
    raise BadFile(
        f"it has none of the stream's columns ({_some(known)}), but {_some(names)}.{_advice(names)} "
        "If it has no header line, set format.header_definition. If it belongs to another stream, move it there"
    )


def _some(names: Collection[str]) -> str:
    shown = ", ".join(repr(name[:MAX_NAME_LENGTH]) for name in list(names)[:MAX_NAMES])
    return shown + (f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else "")


def _advice(names: Collection[str]) -> str:
    """If the header was read as one name, suggest a delimiter."""
    name = next(iter(names))
    found = max(DELIMITERS, key=name.count)
    if len(names) == 1 and found in name:
        shown = found.encode("unicode_escape").decode()
        return f' The delimiter seems to be "{shown}": set the stream\'s format.delimiter to "{shown}".'
    return ""


MAX_NAMES = 10
MAX_NAME_LENGTH = 60
"""The most characters of a column's name that a message quotes."""
DELIMITERS = (";", "\t", "|", ":", ",")

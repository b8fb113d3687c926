"""Where the mock reads a file differently from source-s3 on purpose, and why; docs/airbyte.md has it as a table.

To write it there: `python -m tests.integration.airbyte.source_s3.differences`.
"""

from pathlib import Path
from typing import NamedTuple

DOCUMENT = Path(__file__).parents[4] / "docs" / "airbyte.md"
BEGIN, END = "<!-- made by tests/integration/airbyte/source_s3/differences.py -->\n", "<!-- end -->\n"


class Difference(NamedTuple):
    file: str
    source_s3: str
    mock: str
    reason: str


DIFFERENCES = {
    "line end": Difference(
        "CSV: CR LF within a quoted value", "LF", "CR LF", "The value is loaded as the file has it."
    ),
    "byte order mark": Difference(
        "CSV: a byte order mark, `encoding: utf8`",
        "part of the first column's name",
        "left out",
        "Nobody finds a column whose name begins with an invisible character.",
    ),
    "spaces in a header": Difference(
        "CSV: spaces around a name in the header",
        "part of the name",
        "left out",
        "Nobody finds a column whose name begins with a space, and a declared one would be null.",
    ),
    "bad quotes": Difference(
        "CSV: text after a closing quote, or a quote that is never closed",
        'read leniently: `"x"y` is `xy`, and an open quote swallows the rest of the file',
        "the file is refused with the line",
        "Rows disappear into a value without a word.",
    ),
    "empty fields": Difference(
        "CSV: empty fields after the last column",
        "the file is refused",
        "ignored",
        "Spreadsheets write them, and nothing is lost.",
    ),
    "name twice": Difference(
        "CSV: two columns of one name", "the last one is loaded", "the file is refused", "A column is lost."
    ),
    "skipped rows": Difference(
        "CSV: a short row, `ignore_errors_on_fields_mismatch: true`, types not declared",
        "its discovery fails",
        "the row is skipped",
        "That is what the setting says.",
    ),
    "broken end": Difference(
        "JSON Lines: broken lines at the end of a file",
        "ignored, and the sync succeeds",
        "the file is refused with the line",
        "Rows are lost without a word.",
    ),
    "several lines": Difference(
        "JSON Lines: an object over several lines",
        "read, slowly",
        "the file is refused with the line",
        "It is not JSON Lines; the message says what to do.",
    ),
    "more than a number": Difference(
        "CSV, `Primitive Types Only`: 007, +8, 1_000, 1e3, 12345678901234567890",
        "a number",
        "text",
        "A postcode, a telephone number or an id would lose a part.",
    ),
    "rounded number": Difference(
        "JSON Lines: a number with more digits than a double or 64 bits have",
        "a rounded number, or an integer",
        "text",
        "Every digit is kept.",
    ),
    "other columns": Difference(
        "a later file with none of the stream's columns",
        "read, its columns are added",
        "the file is refused",
        "Its rows would be null in every column, as with a wrong delimiter.",
    ),
    "large integer": Difference(
        "Parquet: UINT64", "integer", "text", "The warehouse's integers have 64 bits with a sign."
    ),
    "dictionary": Difference(
        "Parquet: text with an Arrow dictionary", "text, declared as object", "text", "The values are text."
    ),
    "no row": Difference(
        "Parquet: a file without a row", "its columns", "no column yet", "Nothing is written for a file without rows."
    ),
    "folder and column": Difference(
        "Parquet: a folder `year=2013` around a file with a column `year`",
        "the folder's value in every row",
        "the file's values",
        "A column of the file is lost.",
    ),
    "bzip2 end": Difference(
        "any: bzip2 with something else after its data, or a damaged second part",
        "the rest is left out, and the sync succeeds",
        "the file is refused",
        "Rows are lost without a word.",
    ),
    "Zstandard": Difference(
        "any: Zstandard, `.zst`", "not decompressed, so refused", "read", "Its library has it in later versions."
    ),
}


def table() -> str:
    rows = "".join(f"| {' | '.join(each)} |\n" for each in DIFFERENCES.values())
    return f"| file | source-s3 4.16.1 | the mock | why |\n| --- | --- | --- | --- |\n{rows}"


def written(text: str) -> str:
    """The document with the table in its place."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}{table()}{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))

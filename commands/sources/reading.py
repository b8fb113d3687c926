"""Reads a file as the mock Airbyte will load it, with the same reader, into the Parquet file that raw would have."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from pydantic import TypeAdapter

from blocks.errors import PlatformError
from commands.sources.dialect import Dialect, dialect_of, first_character
from services.airbyte.formats import open_file, sql, suffixes
from services.airbyte.formats.model import BadFile, Limits
from services.airbyte.formats.settings import Format, ParquetFormat
from services.airbyte.load.convert import Origin, connect, to_parquet
from services.airbyte.load.source_s3 import from_disk

LIMITS = Limits()
MEMORY = "1GB"


class FileRefused(PlatformError):
    """The file cannot become a source as it is. The message names the file, the line and the remedy."""


@dataclass(frozen=True)
class Reading:
    """A file that was read.

    `raw` is a Parquet file with the rows as raw will have them. `types` has the mock's type of each column, by the
    column's name in the file. `format` is the stream's `format`, which is empty if the suffix says everything.
    `decimals` has the types of Parquet's decimal columns. `changed` counts the values that the mock could not keep, by
    column.
    """

    file: Path
    raw: Path
    kind: str
    rows: int
    types: dict[str, str]
    format: dict[str, Any]
    encoding: str = ""
    delimiter: str = ""
    decimals: dict[str, str] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def is_text(self) -> bool:
        """Return whether every column is text that may represent another type."""
        return self.kind in ("csv", "raw")


REMEDIES = {
    "set the stream's format.skip_rows_before_header": "remove the lines above it",
    "Upload the file again": "Export or download the file again",
    "Upload it again": "Export or download it again",
}
"""Remedies of the mock Airbyte for a file in a bucket, each with the remedy for a file on disk."""


COMPRESSED_BEGINNINGS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zX": "xz"}
"""The first bytes of compressed files."""


def read(file: Path, work: Path, declared: Mapping[str, Any] | None = None) -> Reading:
    """Read all rows of a file.

    Args:
        file: CSV, JSON Lines or Parquet, plain or compressed.
        work: an empty folder.
        declared: the stream's `format` if the stream exists. Without it, the format is detected.

    Raises:
        FileRefused: the file cannot be read.
    """
    key = file.name
    try:
        return _read(file, key, work, declared)
    except BadFile as error:
        where = f"{file}, line {error.line}" if error.line else str(file)
        reason = error.reason
        for remedy, replacement in REMEDIES.items():
            reason = reason.replace(remedy, replacement)
        raise FileRefused(f"{where}: {reason}.") from None
    except UnicodeDecodeError:
        raise FileRefused(f"{file}: its text cannot be decoded. Save the file as UTF-8.") from None
    except OSError as error:
        raise FileRefused(f"{file} cannot be read: {error.strerror}. Check the path and the permissions.") from None


def _read(file: Path, key: str, work: Path, declared: Mapping[str, Any] | None) -> Reading:
    plain = from_disk(key, file, work / "plain", LIMITS, ParquetFormat()).path
    kind = _kind(key, plain)
    if not plain.stat().st_size:
        raise BadFile("it is empty. Export it again, with at least a header and one row")
    dialect = dialect_of(plain, work) if kind == "csv" and declared is None else Dialect()
    if kind == "csv" and declared is not None:
        _check_is_like(plain, declared, dialect_of(plain, work))
    found = dict(dialect.format if declared is None else declared)
    if declared is None and (found or not suffixes.plain(key).endswith(f".{kind}")):
        found = {"filetype": kind, **found}
    plain.unlink()
    chosen = TypeAdapter[Format](Format).validate_python(found) if found else None
    connection = connect(MEMORY, None, work / "spill")
    try:
        local = from_disk(key, file, work / "data", LIMITS, chosen)
        source = open_file(connection, key, local.path, local.survey, LIMITS, chosen)
        if not source.names:
            raise BadFile("it has no columns. Export it again, with a header")
        types = dict.fromkeys(source.names, "string")
        if kind != "csv":
            types |= {**source.empty, **source.infer()}
        decimals = _decimals(connection, local.path) if kind == "parquet" else {}
        raw = work / "raw.parquet"
        rows = to_parquet(connection, source, raw, types, list(types), Origin(key, datetime.now(UTC), 0, 0))
        source.check(rows)
        if not rows:
            raise BadFile("it has a header but no rows. Add a row, so that its types can be detected")
        changed = _changed(connection, raw)
    finally:
        connection.close()
    encoding, delimiter = str(found.get("encoding", "utf8")), str(found.get("delimiter", ",")).replace(r"\t", "\t")
    return Reading(file, raw, kind, rows, types, found, encoding, delimiter, decimals, changed, dialect.notes)


def _check_is_like(plain: Path, declared: Mapping[str, Any], found: Dialect) -> None:
    """Raise BadFile if a file is written differently from its stream, since it would be misread without an error."""
    own = "Write it like the others, or make it a separate source with another NAME="
    delimiters = [str(each.get("delimiter", ",")) for each in (found.format, declared)]
    if delimiters[0] != delimiters[1]:
        raise BadFile(
            f"its values are separated by {delimiters[0]!r}, but those of the stream by {delimiters[1]!r}. {own}"
        )
    encodings = [str(each.get("encoding", "utf8")) for each in (found.format, declared)]
    if encodings[0].startswith("utf") and encodings[0] != encodings[1] and not _is_ascii(plain):
        raise BadFile(f"it is {encodings[0]}, but the files of the stream are {encodings[1]}. {own}")


def _is_ascii(plain: Path) -> bool:
    with plain.open("rb") as data:
        return all(line.isascii() for line in data)


def _kind(key: str, plain: Path) -> str:
    """Return the file's kind, by its first bytes or else its suffix: csv, jsonl or parquet."""
    with plain.open("rb") as data:
        begin = data.read(4)
    if compression := next((name for magic, name in COMPRESSED_BEGINNINGS.items() if begin.startswith(magic)), ""):
        remedy = f"Rename it to {key}.gz" if compression == "gzip" else "Unpack it"
        raise BadFile(f"it is compressed with {compression}, but its name does not say so. {remedy}")
    if begin.startswith(b"PK\x03\x04"):
        raise BadFile("it is a spreadsheet or a zip archive. Save the sheet as CSV, or unzip the file")
    if begin == b"PAR1" or suffixes.plain(key).endswith(".parquet"):
        return "parquet"
    first = first_character(plain)
    if first == "{" or suffixes.plain(key).endswith(".jsonl"):
        return "jsonl"
    if first == "[" and suffixes.plain(key).endswith(".json"):
        raise BadFile(
            f"it is one JSON array, but JSON Lines has one object per line. Convert it: `jq -c '.[]' {key} > {key}l`"
        )
    return "csv"


def _decimals(connection: duckdb.DuckDBPyConnection, parquet: Path) -> dict[str, str]:
    """Return the type of each decimal column, such as decimal(18,2)."""
    relation = f"read_parquet({sql.text(str(parquet))}, hive_partitioning = false)"
    found = connection.execute(f"DESCRIBE FROM {relation}").fetchall()
    return {row[0]: row[1].lower() for row in found if row[1].startswith("DECIMAL") and not row[1].endswith("]")}


def _changed(connection: duckdb.DuckDBPyConnection, raw: Path) -> dict[str, int]:
    query = f"SELECT _airbyte_meta, count(*) FROM read_parquet({sql.text(str(raw))}) GROUP BY ALL"
    counts: dict[str, int] = {}
    for meta, rows in connection.execute(query).fetchall():
        for change in json.loads(meta)["changes"]:
            counts[change["field"]] = counts.get(change["field"], 0) + rows
    return counts

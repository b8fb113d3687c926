"""Names of the Parquet files in a stream's folder, and text that is safe to print."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from services.airbyte.formats.suffixes import is_archive

UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except line feeds, Unicode line separators and text-direction marks, and lone surrogates."""
SCHEMA_FILES = "_schema-*.parquet"
COMPACTED_PREFIX = "_compacted-"
"""Prefix of the names of merged files. The name of a file from one object never begins with _."""


def schema_name(columns: Mapping[str, str]) -> str:
    """Return the name of the empty schema file, which is unique to its columns."""
    declared = "\n".join(f"{name} {type_}" for name, type_ in columns.items())
    return f"_schema-{digest(declared)}.parquet"


def has_schema(folder: Path, columns: Mapping[str, str]) -> bool:
    """Return whether the empty schema file exists: for these columns, or for any if `columns` is empty."""
    return any(folder.glob(schema_name(columns) if columns else SCHEMA_FILES))


def target_name(connection_id: str, stream: str, generation: int, key: str, etag: str, version: int) -> str:
    """Return a readable name that is unique to the object version, its number in the key's history, and generation."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(key).name.split(".")[0]).lstrip("_")[:80]
    identity = "\n".join((connection_id, stream, str(generation), key, etag, str(version)))
    return f"{stem}-{digest(identity)}.parquet"


def object_condition(key: str, column: str, placeholder: str = "?") -> tuple[str, tuple[str, ...]]:
    """Return an SQL condition for an object's rows, and its parameters. A zip archive's files have longer names."""
    if not is_archive(key):
        return f"{column} = {placeholder}", (key,)
    return f"({column} = {placeholder} OR substr({column}, 1, {len(key) + 1}) = {placeholder})", (key, f"{key}#")


def printable(text: str) -> str:
    """Escape characters that a terminal, a log or a database cannot show. Keys and file names may contain them."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

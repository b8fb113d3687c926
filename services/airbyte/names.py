"""Names of the Parquet files in a stream's folder."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from services.airbyte.formats.suffixes import is_archive

UNSHOWN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except line ends, line and text-direction marks, and halves of surrogate pairs."""
SCHEMA_FILES = "_schema-*.parquet"
COMPACTED = "_compacted-"
"""How the name of a file begins that was made of others; that of a file made of one object does not begin with _."""


def schema_name(columns: Mapping[str, str]) -> str:
    """The typed empty file; its name changes with the declared columns."""
    declared = "\n".join(f"{name} {type_}" for name, type_ in columns.items())
    return f"_schema-{digest(declared)}.parquet"


def has_schema(folder: Path, columns: Mapping[str, str]) -> bool:
    """Whether the typed empty file is there: of the declared columns, or of any when they are inferred."""
    return any(folder.glob(schema_name(columns) if columns else SCHEMA_FILES))


def target_name(connection_id: str, stream: str, generation: int, key: str, etag: str, version: int) -> str:
    """A name for people, unique to the object version, its place in the key's history and the generation."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(key).name.split(".")[0]).lstrip("_")[:80]
    identity = "\n".join((connection_id, stream, str(generation), key, etag, str(version)))
    return f"{stem}-{digest(identity)}.parquet"


def of_object(key: str, column: str, mark: str = "?") -> tuple[str, tuple[str, ...]]:
    """SQL that holds for an object's name in a column, and its values; a zip archive's files have longer names."""
    if not is_archive(key):
        return f"{column} = {mark}", (key,)
    return f"({column} = {mark} OR substr({column}, 1, {len(key) + 1}) = {mark})", (key, f"{key}#")


def printable(text: str) -> str:
    """Escape what a terminal, a log or a database cannot show of a text with names from outside, such as keys."""
    return UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

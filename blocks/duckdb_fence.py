"""A connection to the published DuckDB file that can only read its tables, for statements that people type."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

NOTHING_MORE: Mapping[str, str] = {}


@contextmanager
def fenced(
    published: Path, lake: Path | None = None, limits: Mapping[str, str] = NOTHING_MORE
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published file for reading.

    No statement can write, load an extension, attach another file, change a setting, or read a Python variable. The
    only other files that a statement can reach are those of `lake`, which staging's views read. Otherwise, `copy … to`
    could overwrite files that the pipelines need.

    Args:
        published: the published file.
        lake: folder of raw's files; None allows no other files.
        limits: DuckDB's settings and their values, e.g. `{"memory_limit": "200MB"}`.
    """
    with duckdb.connect(str(published), read_only=True) as connection:
        for name, value in limits.items():
            connection.execute(f"set {name} = {literal(value)}")
        if lake:
            connection.execute(f"set allowed_directories = [{literal(f'{lake}/')}]")
        connection.execute("set autoinstall_known_extensions = false; set python_enable_replacements = false")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield connection


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"

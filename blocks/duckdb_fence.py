"""A connection to the published DuckDB file that can read its tables, and do nothing else: for what people type."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

NOTHING_MORE: Mapping[str, str] = {}


@contextmanager
def fenced(
    published: Path, lake: Path | None = None, limits: Mapping[str, str] = NOTHING_MORE
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published file to read it.

    No statement writes, loads an extension, attaches another file, changes a setting, or reads a variable of Python.
    Of other files a statement reaches those of `lake` alone, which staging's views read: what `copy … to` could write
    over is what the pipelines need.

    Args:
        published: the file.
        lake: folder of raw's files; without one, no file can be reached.
        limits: settings of DuckDB and their values, e.g. `{"memory_limit": "200MB"}`.
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
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"

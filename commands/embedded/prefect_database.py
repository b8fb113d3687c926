"""New databases for Prefect's server on SQLite.

Prefect takes about 15 s to create its tables, so the first database of an installed Prefect becomes the template of
the others.
"""

import sqlite3
import sys
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

TEMPLATE = Path(sys.prefix, "var", f"prefect-{version('prefect')}.db")
"""In the Python environment, since it belongs to the Prefect that is installed there."""


def create(database: Path) -> None:
    """Copy the template to a database that does not exist yet. Without a template, Prefect creates the tables."""
    database.parent.mkdir(parents=True, exist_ok=True)
    _first(database).unlink(missing_ok=True)
    if database.exists():
        return
    if TEMPLATE.exists():
        _copy(TEMPLATE, database)
    else:
        _first(database).touch()


def keep_as_template(database: Path) -> None:
    """Make a template of a database that Prefect has just created, if the environment is writable."""
    if _first(database).exists():
        with suppress(OSError):
            _copy(database, TEMPLATE)
        _first(database).unlink()


def _first(database: Path) -> Path:
    """Return the file that marks a database as new, and not copied from a template."""
    return database.with_suffix(".first")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may copy at once. Each writes a file of its own, and the last one replaces the others.
    with TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as folder:
        unfinished = Path(folder, target.name)
        with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(unfinished)) as copy:
            original.backup(copy)
        unfinished.replace(target)

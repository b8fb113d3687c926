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
    """Create a database with Prefect's tables, unless it exists or there is no template yet."""
    if TEMPLATE.exists() and not database.exists():
        _copy(TEMPLATE, database)


def keep_as_template(database: Path) -> None:
    """Copy a database whose tables are complete, if there is no template yet and the environment can be written."""
    if not TEMPLATE.exists():
        with suppress(OSError):
            _copy(database, TEMPLATE)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may copy at once. Each writes a file of its own, and the last one replaces the others.
    with TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as folder:
        unfinished = Path(folder, target.name)
        with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(unfinished)) as copy:
            original.backup(copy)
        unfinished.replace(target)

"""Write files so that they are complete on the disk before a reader can see them."""

import os
from pathlib import Path


def commit(temporary: Path, target: Path) -> None:
    """Rename a finished file atomically, so that a power failure cannot undo it."""
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(target)
    sync(target.parent)


def sync(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

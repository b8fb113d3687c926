"""Files that are whole on the disk before anybody finds them."""

import os
from pathlib import Path


def commit(temporary: Path, target: Path) -> None:
    """Rename a file that was written, in one step that a power failure does not undo."""
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(target)
    sync(target.parent)


def sync(folder: Path) -> None:
    """Have the disk know the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

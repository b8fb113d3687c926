"""What is expensive to make, and is made once for all of pytest's workers."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


class Once:
    """Makes folders that the workers of a run share. Tests must not change what is in them."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        own = factory.getbasetemp()
        self.folder = own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own

    def __call__(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return the folder of that name, which the first worker to ask for it has filled with `make`."""
        folder, unfinished = self.folder / f"once-{name}", self.folder / f"once-{name}.unfinished"
        with FileLock(self.folder / f"once-{name}.lock"):
            if not folder.exists():
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(folder)
        return folder

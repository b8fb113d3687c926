"""Keeps a lake's files in place while dbt reads them: dbt holds a shared lock, whoever removes files an exclusive one.

A lock goes with the process that holds it, however that ends. `blocks/lake.py` has the readers' side.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
SECONDS = 1800.0
"""How long files that are to be removed wait for dbt."""
PAUSE = 0.1


class LakeInUse(Exception):
    """The lake has been read all the time."""


def lock_file(lake: Path) -> Path:
    """The file of the lock, made where it is missing: readers may not be able to."""
    lake.mkdir(parents=True, exist_ok=True)
    (lock := lake / LOCK).touch(exist_ok=True)
    return lock


@contextmanager
def alone(lake: Path, waiting: Callable[[], None], seconds: float = SECONDS) -> Iterator[None]:
    """Hold the lake when nobody reads it; `waiting` is called before each further look.

    Raises:
        LakeInUse: somebody has read it for all of `seconds`.
    """
    deadline = time.monotonic() + seconds
    descriptor = os.open(lock_file(lake), os.O_RDONLY)
    try:
        while not _taken(descriptor):
            if time.monotonic() > deadline:
                raise LakeInUse(f"{lake} has been read for {seconds:g} s")
            waiting()
            time.sleep(PAUSE)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

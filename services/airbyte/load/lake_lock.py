"""Lock a lake: dbt holds a shared lock while it reads, and a process that removes files holds an exclusive one.

The operating system releases a lock when its process ends, even after a crash. `blocks/lake.py` has the readers' side.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
SECONDS = 1800.0
"""How long a removal of files waits for dbt."""
PAUSE = 0.1


class LakeInUse(Exception):
    """Readers held the lake for the whole waiting time."""


def lock_file(lake: Path) -> Path:
    """Return the lock file. Create it if it is missing, because readers may not have permission to."""
    lake.mkdir(parents=True, exist_ok=True)
    (lock := lake / LOCK).touch(exist_ok=True)
    return lock


@contextmanager
def exclusive_lock(lake: Path, heartbeat: Callable[[], None], seconds: float = SECONDS) -> Iterator[None]:
    """Hold the lake's exclusive lock; `heartbeat` is called before each retry.

    Raises:
        LakeInUse: a reader held the lock for all of `seconds`.
    """
    deadline = time.monotonic() + seconds
    descriptor = os.open(lock_file(lake), os.O_RDONLY)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise LakeInUse(f"{lake} was in use by a reader for {seconds:g} s")
            heartbeat()
            time.sleep(PAUSE)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""One at a time: whatever uses a warehouse waits for its turn."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from blocks.errors import PlatformError

AT_ONCE_SECONDS = 1.0
"""A wait that is shorter is not worth a line in the log."""


class TurnMissed(PlatformError):
    """The warehouse stayed in use for the whole wait; the text names it and the setting that bounds the wait."""


def lock_file(warehouse: Path) -> Path:
    """The file whose lock is the turn on a warehouse; the operating system frees it when its holder dies."""
    return warehouse.with_name(f"{warehouse.name}.lock")


@contextmanager
def turn(warehouse: Path, seconds: float, log: Callable[[str], None]) -> Iterator[None]:
    """Hold the warehouse; wait up to `seconds` for another command of the platform that holds it.

    Raises:
        TurnMissed: the other command took longer.
    """
    lock = FileLock(lock_file(warehouse), thread_local=False)
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        lock.acquire(timeout=min(seconds, AT_ONCE_SECONDS))
    except Timeout:
        log(f"Another command uses the warehouse {warehouse}; this one waits for it, for up to {seconds:g} s.")
        try:
            lock.acquire(timeout=max(0.0, seconds - (time.monotonic() - begun)))
        except Timeout:
            raise TurnMissed(
                f"Another command used the warehouse {warehouse} for more than {seconds:g} s (WAREHOUSE_WAIT_SECONDS). "
                f"Find the process that has {lock_file(warehouse)} open and why it takes so long, or raise "
                "WAREHOUSE_WAIT_SECONDS, then run again."
            ) from None
    try:
        yield
    finally:
        lock.release()

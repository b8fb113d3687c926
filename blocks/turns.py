"""A lock for the warehouse: one command at a time uses it, and the others wait for their turn."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from blocks.errors import PlatformError

UNLOGGED_SECONDS = 1.0
"""Shorter waits are not logged."""


class TurnMissed(PlatformError):
    """Another command used the warehouse for the whole wait."""


def lock_file(warehouse: Path) -> Path:
    """Return the lock file of a warehouse. The operating system releases the lock if its holder dies."""
    return warehouse.with_name(f"{warehouse.name}.lock")


@contextmanager
def turn(warehouse: Path, seconds: float, log: Callable[[str], None]) -> Iterator[None]:
    """Lock the warehouse; wait up to `seconds` for another command of the platform to unlock it.

    Raises:
        TurnMissed: the other command took longer.
    """
    lock = FileLock(lock_file(warehouse), thread_local=False)
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        lock.acquire(timeout=min(seconds, UNLOGGED_SECONDS))
    except Timeout:
        log(f"Another command uses the warehouse {warehouse}. This one waits for it, up to {seconds:g} s.")
        try:
            lock.acquire(timeout=max(0.0, seconds - (time.monotonic() - begun)))
        except Timeout:
            raise TurnMissed(
                f"Another command used the warehouse {warehouse} for more than {seconds:g} s (WAREHOUSE_WAIT_SECONDS). "
                f"Find out why the process that has {lock_file(warehouse)} open takes so long, or increase "
                "WAREHOUSE_WAIT_SECONDS. Then run again."
            ) from None
    try:
        yield
    finally:
        lock.release()

"""Makes sure that only one process works in a folder at a time."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from blocks.errors import PlatformError
from services.content import short

LOCK = ".lock"
"""The file that marks a folder of `make dev` or `make demo`, and that the process in it locks."""


@contextmanager
def only_one(
    folder: Path, command: str, advice: str, seconds: float = 0.0, tell: Callable[[str], object] = bool
) -> Iterator[None]:
    """Hold a folder until the block or the process ends. Wait for another process that holds it.

    Args:
        folder: the folder, which is created if necessary.
        command: the command that the other process runs, as a person types it.
        advice: what to do if the other process does not end.
        seconds: how long to wait for it.
        tell: called with a line when the waiting starts.

    Raises:
        PlatformError: the other process still runs after `seconds`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        deadline, has_told = time.monotonic() + seconds, False
        while not _locked(lock.fileno()):
            if time.monotonic() >= deadline:
                raise PlatformError(f"Another `{command}` is using {short(folder)}. {advice}")
            if not has_told:
                tell(f"Another `{command}` is running here. Waiting until it ends.")
                has_told = True
            time.sleep(0.2)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def holder(folder: Path) -> int | None:
    """Return the id of the process that holds a folder, or None."""
    with suppress(FileNotFoundError, ValueError), (folder / LOCK).open() as file:
        return None if _locked(file.fileno()) else int(file.read())
    return None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def describe(error: Exception, data: Path) -> str:
    """Describe an error, with a remedy if the data folder cannot be used or the clock is wrong."""
    if not 2020 <= (year := datetime.now(UTC).year) <= 2100:
        return f"{error}. This machine's clock shows the year {year}. Set the clock, then try again."
    if isinstance(error, PlatformError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{error.filename or data} cannot be written ({error.strerror}). A container or another user may have made "
            f"it. Make it yours with `sudo chown -R $(id -u) {short(data)}`, then try again."
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk of {short(data)} is full. Make room, then try again."
    return f"{type(error).__name__}: {error}"

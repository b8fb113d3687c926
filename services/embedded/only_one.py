"""One process at a time works in a folder."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from blocks.errors import PlatformError
from services.embedded.stack import short


@contextmanager
def only_one(
    folder: Path, command: str, advice: str, seconds: float = 0.0, tell: Callable[[str], object] = bool
) -> Iterator[None]:
    """Hold a folder, which ends with this process; another of the same command is waited for.

    Args:
        folder: made where it is not there.
        command: what the others run, as a person would type it.
        advice: what to do where the other does not end.
        seconds: how long to wait for it.
        tell: called with a line once there is something to wait for.

    Raises:
        PlatformError: the other runs on after `seconds`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        deadline, told = time.monotonic() + seconds, False
        while not _locked(lock.fileno()):
            if time.monotonic() >= deadline:
                raise PlatformError(f"Another `{command}` runs on {short(folder)}. {advice}")
            if not told:
                tell(f"Another `{command}` is running here; waiting for its end.")
                told = True
            time.sleep(0.2)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def holder(lock: Path) -> int | None:
    """The id of the process that holds a folder by its lock file; None where none does."""
    with suppress(FileNotFoundError, ValueError), lock.open() as file:
        return None if _locked(file.fileno()) else int(file.read())
    return None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def in_words(error: Exception, data: Path) -> str:
    """What went wrong, and what to do where the data folder cannot be used or the clock is wrong."""
    if not 2020 <= (year := datetime.now(UTC).year) <= 2100:
        return f"{error}. This machine's clock says that it is the year {year}: set it right, then try again."
    if isinstance(error, PlatformError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{error.filename or data} cannot be written ({error.strerror}). A container or another user may have made "
            f"it: make it yours by `sudo chown -R $(id -u) {short(data)}`, then try again."
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk of {short(data)} is full: make room, then try again."
    return f"{type(error).__name__}: {error}"

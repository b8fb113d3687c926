"""One process at a time works in a folder."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    with (folder / ".lock").open("w") as lock:
        deadline, told = time.monotonic() + seconds, False
        while not _locked(lock.fileno()):
            if time.monotonic() >= deadline:
                raise PlatformError(f"Another `{command}` runs on {short(folder)}. {advice}")
            if not told:
                tell(f"Another `{command}` is running here; waiting for its end.")
                told = True
            time.sleep(0.2)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

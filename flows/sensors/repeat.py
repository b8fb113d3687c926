"""Something that is done again and again while something else goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from prefect.logging import get_logger

from blocks.errors import PlatformError


@contextmanager
def repeating(work: Callable[[], None], seconds: float) -> Iterator[None]:
    """Do the work in a thread every so many seconds, as long as a block of code runs; a failure waits for the next."""
    ended = Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            try:
                work()
            except PlatformError as error:
                get_logger("sensor").warning("%s Trying again in %g s.", error, seconds)

    thread = Thread(target=repeat, name="sensor's claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

"""The two ways to run a platform of a scenario's own: without Docker, and in containers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.testing.embedded import EmbeddedPlatform
from services.testing.platform import Platform
from services.testing.running import Running

ENGINES = ("embedded", "compose")
READY_SECONDS = 300


@contextmanager
def running(engine: str, data: Path) -> Iterator[Running]:
    """A platform that is at work, with its first tables published; it ends with the block.

    Args:
        engine: one of ENGINES.
        data: folder for the state of the embedded one; the next one that runs there removes it, or `remove`.
    """
    if engine == "embedded":
        with EmbeddedPlatform(data / "state") as embedded:
            _await_tables(embedded)
            yield embedded
    else:
        with Platform() as compose:
            _await_tables(compose)
            yield compose


def remove(data: Path) -> None:
    """Remove what the last embedded platform held, and its logs; not the caches, which the next one starts from."""
    shutil.rmtree(data / "state", ignore_errors=True)


def _await_tables(platform: Running) -> None:
    query = "select count(*) from fct_flights"
    platform.eventually(lambda: platform.rows(query)[0][0] or None, "the first tables", READY_SECONDS)

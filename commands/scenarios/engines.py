"""The two ways to run a platform for scenarios: without Docker, and in containers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands.scenarios import content
from commands.scenarios.orders import STREAM
from services.testing.embedded import EmbeddedPlatform
from services.testing.platform import Platform
from services.testing.running import Running

ENGINES = ("embedded", "compose")
READY_SECONDS = 300


@contextmanager
def running(engine: str, data: Path) -> Iterator[Running]:
    """Start a platform, and yield it once its first tables are published. Stop it when the block ends.

    Args:
        engine: one of ENGINES.
        data: folder for the checkout with the scenarios' content, and for the state of the embedded platform. The next
            platform in that folder removes both, and so does `remove`.
    """
    content.write(checkout := data / "checkout")
    if engine == "embedded":
        with EmbeddedPlatform(data / "state", checkout) as embedded:
            _await_tables(embedded)
            yield embedded
    else:
        with Platform(checkout) as compose:
            _await_tables(compose)
            yield compose


def remove(data: Path) -> None:
    """Remove the last platform's content, state and logs. The caches stay for the next platform."""
    for folder in ("checkout", "state"):
        shutil.rmtree(data / folder, ignore_errors=True)


def _await_tables(platform: Running) -> None:
    query = f"select count(*) from {STREAM}"
    platform.eventually(lambda: platform.rows(query)[0][0] or None, "the first tables", READY_SECONDS)

"""The two ways to run a platform of a scenario's own: without Docker, and in containers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.scenarios import content
from services.scenarios.orders import STREAM
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
        data: folder for the checkout with the content of scenarios, and for the state of the embedded one; the next one
            that runs there removes both, or `remove`.
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
    """Remove the last platform's content, state and logs; not the caches, which the next one starts from."""
    for folder in ("checkout", "state"):
        shutil.rmtree(data / folder, ignore_errors=True)


def _await_tables(platform: Running) -> None:
    query = f"select count(*) from {STREAM}"
    platform.eventually(lambda: platform.rows(query)[0][0] or None, "the first tables", READY_SECONDS)

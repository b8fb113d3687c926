"""One call after the other, so that a test can say which of them meets what."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def one_look_at_a_time() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blocks.landing.CONCURRENT_REQUESTS", 1)
        patch.setattr("blocks.parked.CONCURRENT_REQUESTS", 1)
        yield

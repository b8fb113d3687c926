"""All servers of the platform, started once for a module."""

from collections.abc import Iterator

import pytest

from tests.integration.web.servers import stand_ins


@pytest.fixture(scope="module")
def urls(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The URLs of Prefect, S3, the mock Airbyte and the Snowflake emulator."""
    with stand_ins(tmp_path_factory.mktemp("stand-ins")) as others:
        yield {"prefect": prefect_server, **others}

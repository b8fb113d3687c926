"""What several folders of integration tests share."""

from collections.abc import Iterator

import pytest

from tests.integration.servers import s3_server


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The address of an S3, in which each test has a bucket of its own."""
    with s3_server() as url:
        yield url

"""The page, and a client of the Prefect server that it shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from tests.integration.console.pages import NAMES, Seen, seen


@pytest.fixture(scope="module")
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    """A client of the server; the artifacts that a file's tests make are deleted after them."""
    with get_client(sync_client=True) as client:
        yield client
        made = ArtifactFilter(key=ArtifactFilterKey(like_=NAMES.artifact("%")))
        for each in client.read_artifacts(artifact_filter=made):
            client.delete_artifact(each.id)


@pytest.fixture
def page(client: SyncPrefectClient, tmp_path: Path) -> Seen:
    return seen(str(client.api_url), tmp_path)

"""One mock Airbyte for the tests of the client, and servers that give fixed answers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from blocks.airbyte.client import AirbyteClient
from blocks.landing import AwsAccess, s3_client
from services.airbyte.app import create_app
from services.airbyte.settings import Settings as MockSettings
from tests.integration.blocks.airbyte.server import CLIENT_ID, CONFIG, CONNECTION, SECRET, Server


@pytest.fixture(scope="session")
def start(serve: Callable[[Any], str], s3_url: str) -> Iterator[Callable[..., Server]]:
    opened: list[httpx.Client] = []

    def run(folder: Path, config: str, **changes: Any) -> Server:
        (folder / "airbyte.yaml").write_text(config)
        values: dict[str, Any] = {
            "config": folder / "airbyte.yaml",
            "lake_dir": folder / "lake",
            "state_dir": folder / "state",
            "s3_endpoint_url": s3_url,
            "s3_region": "us-east-1",
            "s3_access_key_id": "test",
            "s3_secret_access_key": "test",
            "client_id": CLIENT_ID,
            "client_secret": SECRET,
            "retry_delay": 0.3,
            "faults": True,
        }
        url = serve(create_app(MockSettings(**values | changes)))
        opened.append(httpx.Client(base_url=url))
        return Server(url, opened[-1])

    yield run
    for http in opened:
        http.close()


@pytest.fixture(scope="session")
def mock(start: Callable[..., Server], s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Server:
    s3_client("landing", AwsAccess(s3_url, "us-east-1", "test", "test")).create_bucket(Bucket="shop")
    return start(tmp_path_factory.mktemp("airbyte"), CONFIG.replace("BUCKET", "shop"))


@pytest.fixture
def server(mock: Server) -> Iterator[Server]:
    """The mock without faults, and without a job that runs."""
    yield mock
    mock.clear()
    with mock.client() as client:
        while job := client.newest_job(CONNECTION, running=True):
            client.cancel(job.job_id)


@pytest.fixture
def airbyte(server: Server) -> Iterator[AirbyteClient]:
    with server.client() as client:
        yield client


@pytest.fixture
def answers(serve: Callable[[Any], str]) -> Callable[[dict[str, Any]], str]:
    """A server that gives fixed answers by path: what the mock would never say."""

    def run(by_path: dict[str, Any]) -> str:
        async def answer(request: Request) -> Response:
            body = by_path.get(request.url.path)
            return body if isinstance(body, Response) else JSONResponse(body, 200 if body is not None else 404)

        return serve(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"])]))

    return run

"""How the guard reads bodies: whole, decompressed and of a limited size, before the application sees any of it."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from services.guard import asgi
from services.guard.asgi import MAX_BODIES_IN_MEMORY, Guard

JSON = {"Content-Type": "application/json"}
GZIP = {**JSON, "Content-Encoding": "gzip"}
LIMIT = 1_000_000


async def size(request: Request) -> Response:
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Private-Network": "true"}
    seen = dict(request.headers)
    body = len(await request.body())
    return JSONResponse(
        {"size": body, "announced": seen.get("content-length"), "coded": "content-encoding" in seen}, 200, headers
    )


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


def guarded() -> Guard:
    routes = [Route("/", size, methods=["GET", "POST", "PUT"]), WebSocketRoute("/events", echo)]
    return Guard(Starlette(routes=routes), max_body_mb=1)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(guarded(), base_url="http://127.0.0.1") as client:
        yield client


def pieces(count: int, piece: bytes = b" " * 10_000) -> Iterator[bytes]:
    for _ in range(count):
        yield piece


def test_a_body_up_to_the_limit_is_handed_on_whole(client: TestClient) -> None:
    answer = client.post("/", content=b" " * LIMIT, headers=JSON)
    assert answer.json() == {"size": LIMIT, "announced": str(LIMIT), "coded": False}
    assert client.post("/", content=pieces(100), headers=JSON).json()["size"] == LIMIT


@pytest.mark.parametrize("announced", [True, False])
def test_a_larger_body_is_refused(client: TestClient, announced: bool) -> None:
    content = b" " * (LIMIT + 1) if announced else pieces(101)
    answer = client.post("/", content=content, headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["message"].startswith("The body is larger than 1 MB. ")
    assert answer.headers["connection"] == "close"


def test_gzip_is_decompressed_and_counts_as_what_it_becomes(client: TestClient) -> None:
    two_members = gzip.compress(b" " * 10) + gzip.compress(b" " * 20)
    assert client.post("/", content=two_members, headers=GZIP).json() == {"size": 30, "announced": "30", "coded": False}
    for bomb in (gzip.compress(b" " * 50_000_000), gzip.compress(b" " * 600_000) * 2):
        assert client.post("/", content=bomb, headers=GZIP).status_code == 413


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(b"{}")[:-4], "gzip", 400),
        (b"{}", "gzip", 400),
        (gzip.compress(b"{}") + b"rest", "gzip", 400),
        (zlib.compress(b"{}"), "deflate", 415),
        (gzip.compress(gzip.compress(b"{}")), "gzip, gzip", 415),
    ],
    ids=["cut off", "not compressed", "with a rest", "deflate", "twice"],  # gzip's bytes hold the time
)
def test_a_body_in_another_form_is_refused(client: TestClient, body: bytes, encoding: str, status: int) -> None:
    assert client.post("/", content=body, headers={**JSON, "Content-Encoding": encoding}).status_code == status


def test_a_body_that_does_not_arrive_in_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.05)

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    async def post() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded()), base_url="http://127.0.0.1") as http:
            return (await http.post("/", content=endless(), headers=JSON)).status_code

    assert asyncio.run(post()) == 408


def test_only_so_many_large_bodies_are_kept_at_once() -> None:
    """The last caller to begin is refused while the others' bodies wait for their ends; then all is free again."""
    guard, ended = guarded(), asyncio.Event()

    async def unfinished() -> AsyncIterator[bytes]:
        yield b" " * (LIMIT - 1)
        await ended.wait()
        yield b" "

    async def statuses() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://127.0.0.1") as http:
            first = [
                asyncio.create_task(http.post("/", content=unfinished(), headers=JSON))
                for _ in range(MAX_BODIES_IN_MEMORY)
            ]
            while guard._bytes_in_memory < MAX_BODIES_IN_MEMORY * (LIMIT - 1):
                await asyncio.sleep(0)
            refused = await http.post("/", content=b" " * 100, headers=JSON)
            ended.set()
            return [answer.status_code for answer in (refused, *await asyncio.gather(*first))]

    assert asyncio.run(statuses()) == [503, *[200] * MAX_BODIES_IN_MEMORY]
    assert guard._bytes_in_memory == 0


def test_no_answer_lets_a_page_from_elsewhere_read_it(client: TestClient) -> None:
    answer = client.get("/", headers={"Origin": "http://127.0.0.1"})
    assert answer.status_code == 200
    assert [name for name in answer.headers if name.startswith("access-control-")] == []
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_websocket_is_opened_by_the_servers_own_pages_and_by_clients_alone(client: TestClient) -> None:
    for headers in ({}, {"Origin": "http://127.0.0.1"}):
        with client.websocket_connect("ws://127.0.0.1/events", headers=headers) as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"
    for headers in ({"Origin": "http://evil.test"}, {"Host": "evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("ws://127.0.0.1/events", headers=headers),
        ):
            raise AssertionError("the guard has let the page in")

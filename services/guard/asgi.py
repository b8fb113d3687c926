"""The guard for ASGI applications: Prefect's server, the mock Airbyte and the Snowflake emulator."""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.guard.rules import SECURITY_HEADERS, Refusal, is_cors, join_headers
from services.guard.settings import GuardSettings

MEGABYTE = 1_000_000
BODY_SECONDS = 60.0
"""A client that needs longer to send a body is refused."""
DISCARD_SECONDS = 5.0
"""How long the rest of a refused body is read and discarded. Many clients read the answer only after sending all."""
MAX_BODIES_IN_MEMORY = 8
"""The number of bodies of the largest size that fit into memory at once."""


class Refused(Exception):
    """A body was refused before its end. The argument is the `Refusal`."""


class Guard:
    """Passes on only requests that `Rules` allow, with complete, decompressed bodies of a limited size.

    Args:
        app: the application.
        max_body_mb: limit of a body in megabytes, compressed and decompressed. GUARD_MAX_BODY_MB overrides it.
        pages: whether the application has pages for browsers; see `Rules`.
        other_types: paths that accept other bodies than JSON; see `Rules`.
        streamed: path of uploads, which the application reads and limits itself.
        page: creates the response to a refused body for a browser. By default, it is JSON.
        headers: added to each response that lacks them, like those of `rules.ADDED`.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body_mb: float,
        pages: bool = False,
        other_types: str = r"(?!)",
        streamed: str = "",
        page: Callable[[Refusal], Response] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        settings = GuardSettings()
        self.app = app
        self.limit = round((settings.max_body_mb or max_body_mb) * MEGABYTE)
        self.rules = settings.rules(pages=pages, other_types=other_types)
        self._streamed, self._page = streamed, page or _as_json
        self._added = {**SECURITY_HEADERS, **(headers or {})}
        self._bytes_in_memory = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request as described at the class."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        send = _without_cors_headers(send, self._added)
        headers = join_headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        local, _ = scope.get("server") or ("", None)
        if refused := self.rules.refusal(scope.get("method", "GET"), scope["path"], headers, local):
            return await _refuse(refused, scope, receive, send)
        if scope["type"] == "websocket":
            return await self.app(scope, receive, send)
        return await self._answer(scope, headers, receive, send)

    async def _answer(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if not has_body or (self._streamed and scope["path"].startswith(self._streamed)):
            return await self.app(scope, receive, send)
        body = Body(self, headers)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                content = await body.read(receive)
            if content is not None:
                await self.app(_without_encoding(scope, content), _replay(content, receive), send)
        except Refused as error:
            if "expect" not in headers:
                await _discard(receive)
            await _refuse(error.args[0], scope, receive, send, self._page)
        except TimeoutError:
            if body.complete:
                raise  # the timeout is the application's
            await _refuse(Refusal(408, f"The body was not sent within {BODY_SECONDS:.0f} s."), scope, receive, send)
        finally:
            self._bytes_in_memory -= body.size

    def hold(self, size: int) -> None:
        """Count bytes that are kept in memory.

        Raises:
            Refused: the bodies of all requests together are too large.
        """
        self._bytes_in_memory += size
        if self._bytes_in_memory > MAX_BODIES_IN_MEMORY * self.limit:
            raise Refused(Refusal(503, "Too many large bodies are being sent at once. Try again in a moment."))


class Body:
    """A request's body while it is received."""

    def __init__(self, guard: Guard, headers: dict[str, str]) -> None:
        self._guard = guard
        self._announced = headers.get("content-length", "")
        self._encoding = headers.get("content-encoding", "identity").strip().lower()
        self._gzip = zlib.decompressobj(31)
        self._raw = 0
        self.size = 0
        """Bytes that are in memory."""
        self.complete = False

    async def read(self, receive: Receive) -> bytes | None:
        """Return the complete body, decompressed, or None if the client disconnected.

        Raises:
            Refused: the body is too large, or its compression is invalid or not supported.
        """
        if self._encoding not in ("identity", "gzip"):
            raise Refused(Refusal(415, f"Content-Encoding {self._encoding[:50]!r} is not supported. Use gzip or none."))
        if self._announced.isdecimal() and int(self._announced) > self._guard.limit:
            raise Refused(self._too_large())
        parts: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts += self._read_chunk(message.get("body", b""))
            if not message.get("more_body", False):
                break
        if self._encoding == "gzip" and not self._gzip.eof:
            raise Refused(Refusal(400, "The body is not a complete gzip stream."))
        self.complete = True
        return b"".join(parts)

    def _read_chunk(self, chunk: bytes) -> list[bytes]:
        self._raw += len(chunk)
        if self._raw > self._guard.limit:
            raise Refused(self._too_large())
        return [self._keep(chunk)] if self._encoding == "identity" else self._decompress(chunk)

    def _decompress(self, chunk: bytes) -> list[bytes]:
        parts = []
        while chunk:
            if self._gzip.eof:  # another member follows
                self._gzip = zlib.decompressobj(31)
            try:
                parts.append(self._keep(self._gzip.decompress(chunk, self._guard.limit - self.size + 1)))
            except zlib.error:
                raise Refused(Refusal(400, "The body is not valid gzip.")) from None
            chunk = self._gzip.unconsumed_tail or self._gzip.unused_data
        return parts

    def _keep(self, data: bytes) -> bytes:
        self.size += len(data)
        self._guard.hold(len(data))
        if self.size > self._guard.limit:
            raise Refused(self._too_large())
        return data

    def _too_large(self) -> Refusal:
        megabytes = self._guard.limit / MEGABYTE
        return Refusal(413, f"The body is larger than {megabytes:g} MB. Send less at once, or raise GUARD_MAX_BODY_MB.")


async def _discard(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while (await receive()).get("more_body", False):
                pass


def _as_json(refused: Refusal) -> Response:
    return JSONResponse({"message": refused.message, "status": refused.status}, refused.status)


async def _refuse(
    refused: Refusal, scope: Scope, receive: Receive, send: Send, page: Callable[[Refusal], Response] = _as_json
) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": 1008, "reason": refused.message[:120]})
        return
    # Close the connection: the unread rest of the body would be parsed as the next request.
    answer = page(refused)
    answer.headers["connection"] = "close"
    await answer(scope, receive, send)


def _without_encoding(scope: Scope, content: bytes) -> Scope:
    replaced = (b"content-encoding", b"content-length", b"transfer-encoding")
    kept = [(name, value) for name, value in scope["headers"] if name not in replaced]
    return {**scope, "headers": [*kept, (b"content-length", str(len(content)).encode())]}


def _replay(content: bytes, receive: Receive) -> Receive:
    message: Message | None = {"type": "http.request", "body": content, "more_body": False}

    async def replay() -> Message:
        nonlocal message
        if message is None:
            return await receive()
        first, message = message, None
        return first

    return replay


def _without_cors_headers(send: Send, added: Mapping[str, str]) -> Send:
    async def closed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if not is_cors(name.decode("latin-1"))]
            message = {**message, "headers": headers}
            for name, value in added.items():
                MutableHeaders(scope=message).setdefault(name, value)
        await send(message)

    return closed

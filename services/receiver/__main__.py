"""Store messages sent by POST, and show them by GET: `python -m services.receiver --port 8090 --folder data/alerts`."""

import argparse
import contextlib
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.guard.asgi import Guard
from services.quiet import serve
from services.receiver.messages import Messages, line

MAX_BODY_MB = 1.0


def create_app(messages: Messages) -> Guard:
    """Return the receiver, protected by the guard."""

    async def take(request: Request) -> Response:
        with contextlib.suppress(ValueError, RecursionError):
            message = await request.json()
            if isinstance(message, dict):
                messages.add({**message, "received": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"})
                return PlainTextResponse("ok")
        return PlainTextResponse("Send a JSON object.", 400)

    async def show(_: Request) -> Response:
        return PlainTextResponse("\n\n".join(map(line, messages.read())) or "There are no messages yet.")

    async def listed(_: Request) -> Response:
        return JSONResponse(messages.read())

    routes = [
        Route("/", show),
        Route("/messages", listed),
        Route("/health", lambda _: PlainTextResponse("ok")),
        Route("/{path:path}", take, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), MAX_BODY_MB, pages=True)


def main() -> None:
    """Serve until the process is stopped."""
    parser = argparse.ArgumentParser(prog="python -m services.receiver", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--folder", type=Path, required=True, help="folder to store the messages in")
    options = parser.parse_args()
    serve(create_app(Messages(options.folder)), options.host, options.port)


if __name__ == "__main__":
    main()

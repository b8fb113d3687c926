"""Prefect's own server and UI, on SQLite: `python -m services.embedded.prefect_server PORT`."""

import sys

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.embedded.lifeline import follow_parent
from services.prefect_server import create_app


class RetrySoon:
    """Tells Prefect's clients to repeat a 503 soon.

    The server answers 503 when two of its own transactions meet in SQLite; the file is free again within milliseconds,
    but without a Retry-After the client waits 2 s or more. It tries six times: with a shorter wait a busy moment of the
    server uses them all up, and the run fails.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""

        async def with_retry_after(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 503:
                MutableHeaders(scope=message)["Retry-After"] = "0.5"
            await send(message)

        await self.app(scope, receive, with_retry_after)


def main(port: int) -> None:
    """Serve until the parent ends."""
    follow_parent()
    uvicorn.run(RetrySoon(create_app()), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=3)


if __name__ == "__main__":
    main(int(sys.argv[1]))

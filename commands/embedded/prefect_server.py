"""Prefect's server and UI on SQLite: `python -m commands.embedded.prefect_server PORT`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import uvicorn
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commands.embedded.lifeline import follow_parent
from services.prefect_app import create_app

WRITES = "/increment-with-lease"
"""End of the path that each task with tags requests. Its transactions contain no others, which would wait forever."""
_writes: ContextVar[bool] = ContextVar("writes", default=False)


class WritersWait(AioSqliteConfiguration):
    """SQLite in which transactions for WRITES wait for other writers when they begin.

    By default, Prefect lets them begin as readers. If another transaction writes before such a reader does, SQLite
    rejects the reader's write at once ("database is locked"), whatever the lock timeout. The server then answers 503.
    """

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncIterator[AsyncSessionTransaction]:
        """Begin with the write lock in requests for WRITES, too."""
        async with super().begin_transaction(session, with_for_update or _writes.get()) as transaction:
            yield transaction


class BusyDatabase:
    """Lets requests for WRITES wait for the database, and adds Retry-After to a 503 of other requests.

    The database is free again within milliseconds, but without Retry-After, Prefect's client waits 2 s or more. It
    tries six times. With a shorter wait, it would use them all up while the server is busy, and the run would fail.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def with_retry_after(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 503:
                MutableHeaders(scope=message)["Retry-After"] = "0.5"
            await send(message)

        token = _writes.set(scope.get("path", "").endswith(WRITES))
        try:
            await self.app(scope, receive, with_retry_after)
        finally:
            _writes.reset(token)


def main(port: int) -> None:
    """Serve until the parent ends."""
    follow_parent()
    set_database_config(WritersWait(PREFECT_API_DATABASE_CONNECTION_URL.value()))
    uvicorn.run(
        BusyDatabase(create_app()), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=3
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))

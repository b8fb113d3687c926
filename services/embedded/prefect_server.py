"""Prefect's own server and UI, on SQLite: `python -m services.embedded.prefect_server PORT`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from services.embedded.lifeline import follow_parent
from services.prefect_server import create_app


class WritersWait(AioSqliteConfiguration):
    """SQLite, in which a transaction that may write waits for others at its begin.

    Prefect lets most of them begin as readers. Where another one writes before such a reader does, SQLite refuses at
    once what the reader has to write ("database is locked"), however long it may wait for locks. The server then
    answers 503, and a client tries again after a while.
    """

    @asynccontextmanager
    async def begin_transaction(
        self,
        session: AsyncSession,
        with_for_update: bool = True,  # noqa: ARG002 - as Prefect calls it
    ) -> AsyncIterator[AsyncSessionTransaction]:
        """Begin with the lock for writing, whether or not Prefect asks for it."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def main(port: int) -> None:
    """Serve until the parent ends."""
    follow_parent()
    set_database_config(WritersWait(PREFECT_API_DATABASE_CONNECTION_URL.value()))
    uvicorn.run(create_app(), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=3)


if __name__ == "__main__":
    main(int(sys.argv[1]))

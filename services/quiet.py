"""Serve an ASGI application with uvicorn, in a process that sleeps until a request arrives."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.server import HANDLED_SIGNALS


class Quiet(uvicorn.Server):
    """Sleeps until a signal ends it. Uvicorn's own loop wakes ten times a second to update the Date header."""

    async def main_loop(self) -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()

        def end(signal: int) -> None:
            self.handle_exit(signal, None)
            ended.set()

        for each in HANDLED_SIGNALS:
            loop.add_signal_handler(each, end, each)
        if not self.should_exit:
            await ended.wait()


def serve(app: Any, host: str, port: int) -> None:
    """Serve until the process gets SIGINT or SIGTERM. Open requests then have 3 s to finish."""
    options: dict[str, Any] = {"date_header": False, "server_header": False}
    Quiet(uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=3, **options)).run()

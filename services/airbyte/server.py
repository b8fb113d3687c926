"""Serve the mock on a port. As a fault, the server can refuse connections for a while."""

import asyncio
import signal
import socket
import sys
import threading
from typing import Any

import uvicorn

from services.airbyte.app import create_app
from services.airbyte.settings import Settings


class Server(uvicorn.Server):
    """`run()` serves until it is stopped.

    Raises:
        ConfigError: the config file cannot be used. It is read right away.
    """

    def __init__(self, settings: Settings, **options: Any) -> None:
        app = create_app(settings)
        app.state.server = self
        super().__init__(uvicorn.Config(app, host=settings.host, port=settings.port, access_log=False, **options))

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal ends this process, then exit as Python does."""
        # uvicorn raises the signal again after its shutdown. By default, the fork server's folder would stay.
        if threading.current_thread() is threading.main_thread():  # as in uvicorn, no other thread gets signals
            signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        super().run(sockets)

    def refuse(self, seconds: float) -> asyncio.Task[None]:
        """Stop listening and close idle connections. The returned task listens again after `seconds`."""
        address = self.servers[0].sockets[0].getsockname()[:2]
        for listening in self.servers:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        return asyncio.create_task(self._listen_again(seconds, address), name="refuse connections")

    async def _listen_again(self, seconds: float, address: tuple[str, int]) -> None:
        await asyncio.sleep(seconds)
        if not self.should_exit:
            self.servers = [await asyncio.get_running_loop().create_server(self._protocol, *address)]

    def _protocol(self) -> asyncio.Protocol:
        state = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        protocol: asyncio.Protocol = self.config.http_protocol_class(**state)
        return protocol

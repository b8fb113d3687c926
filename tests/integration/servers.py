"""Servers in threads of the test process, which end with the block that uses them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from moto.server import ThreadedMotoServer

SECONDS = 30


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto's S3 and SQS on a free port; yield the address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def serving(server: uvicorn.Server) -> Iterator[str]:
    """Run a server of uvicorn's; yield the address once it listens."""
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + SECONDS
        while not server.started:
            assert thread.is_alive(), "the server ended while it started"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(SECONDS)

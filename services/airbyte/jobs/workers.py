"""Start a worker process for each task, and stop it.

Importing DuckDB and boto3 takes most of a second. A fork server does it once, and each worker is a copy of it:
https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods
"""

import asyncio
import multiprocessing
import socket
from collections.abc import AsyncGenerator
from contextlib import closing, suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import NamedTemporaryFile

from services.airbyte.jobs import worker
from services.airbyte.protocol import Done, Message, SyncTask, decode

LINE_LIMIT = 1 << 20
DETAIL_BYTES = 2000
EXIT_SECONDS = 5.0
"""How long a worker may take to exit after its task."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["services.airbyte.jobs.preloaded"])


class WorkerDied(Exception):
    """The process ended before its task was done. `detail` is the end of its stderr."""

    def __init__(self, exit_code: int, detail: str) -> None:
        super().__init__(exit_code, detail)
        self.exit_code = exit_code
        self.detail = detail


class WorkerStalled(Exception):
    """The process was stopped because it made no progress."""


def warm_up() -> None:
    """Start the fork server, which imports in the background. It ends with this process."""
    forkserver.ensure_running()


async def run(task: SyncTask, stall_seconds: float) -> AsyncGenerator[Message, None]:
    """Yield the messages of a worker up to, but not including, Done. Leaving early stops the process.

    Raises:
        WorkerDied: the process ended before the task was done.
        WorkerStalled: for `stall_seconds`, it sent no message and the files that it writes did not grow.
    """
    own, its = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=own, limit=LINE_LIMIT)
    # Closing the writer ends a worker that starts after this was cancelled.
    with NamedTemporaryFile(prefix="airbyte-worker-") as stderr, closing(writer):
        process = _FORKS.Process(target=worker.main, args=(its, stderr.name), daemon=True)
        with its:
            try:
                await asyncio.to_thread(process.start)
            except (OSError, EOFError) as error:
                raise WorkerDied(-1, f"The fork server could not start it: {error!r}") from error
        done = False
        try:
            with suppress(ConnectionError):  # the worker is gone, as the end of its messages tells
                writer.write(task.to_line())
                await writer.drain()
            while line := await _next_line(reader, task, stall_seconds):
                if done := isinstance(message := decode(line), Done):
                    return
                yield message
            await asyncio.to_thread(process.join)
            detail = Path(stderr.name).read_bytes()[-DETAIL_BYTES:]
            raise WorkerDied(process.exitcode or 0, detail.decode(errors="replace"))
        finally:
            await asyncio.to_thread(_end, process, EXIT_SECONDS if done else 0)


def _end(process: ForkServerProcess, seconds: float) -> None:
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
    process.close()


async def _next_line(reader: asyncio.StreamReader, task: SyncTask, stall_seconds: float) -> bytes:
    """Return the worker's next line; empty if it has ended."""
    reading = asyncio.ensure_future(_read_line(reader))
    before: dict[str, int] | None = None
    try:
        while not (await asyncio.wait({reading}, timeout=stall_seconds / 2))[0]:
            now = await asyncio.to_thread(_file_sizes, task)
            if now == before:
                raise WorkerStalled
            before = now
        return await reading
    finally:
        reading.cancel()


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ConnectionError:
        return b""


def _file_sizes(task: SyncTask) -> dict[str, int]:
    """Return the sizes, in bytes, of the files that an attempt is writing."""
    files = list(Path(task.work_dir).rglob("*"))
    if not task.snowflake:
        files += [file for stream in task.streams if stream.place for file in Path(stream.place).glob(".*.tmp")]
    sizes = {}
    for file in files:
        with suppress(OSError):
            sizes[str(file)] = file.stat().st_size
    return sizes

"""Start worker processes, keep an idle one ready, and stop them."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

from services.airbyte.protocol import Done, Message, SyncTask, decode

LINE_LIMIT = 1 << 20
DETAIL_BYTES = 2000


class WorkerDied(Exception):
    """The process ended before its task was done. `detail` is the end of its stderr."""

    def __init__(self, exit_code: int, detail: str) -> None:
        super().__init__(exit_code, detail)
        self.exit_code = exit_code
        self.detail = detail


class WorkerStalled(Exception):
    """The process was stopped because it made no progress."""


class Workers:
    """Keeps one idle worker, because a new one needs most of a second to import DuckDB and boto3.

    An idle worker waits for a line on stdin, so it uses no CPU. A worker is reused only if it finished its task.
    """

    def __init__(self) -> None:
        self._idle: Process | None = None
        self._starting: asyncio.Task[None] | None = None

    def warm_up(self) -> None:
        """Start an idle worker in the background if there is none."""
        if self._idle is None and self._starting is None:
            self._starting = asyncio.create_task(self._start_idle(), name="idle worker")

    async def stop(self) -> None:
        """Stop the idle worker."""
        if self._starting:
            await self._starting  # cancelling a start would leave its process behind
        if idle := self._take_idle():
            await _end(idle)

    async def run(self, task: SyncTask, stall_seconds: float) -> AsyncGenerator[Message, None]:
        """Yield the worker's messages up to, but not including, Done. Leaving early stops the process.

        Raises:
            WorkerDied: the process ended before the task was done.
            WorkerStalled: for `stall_seconds`, it sent no message and the files that it writes did not grow.
        """
        if self._starting:
            await asyncio.shield(self._starting)
        process = self._take_idle() or await _spawn()
        done = False
        try:
            await _send(process, task)
            while line := await _next_line(process, task, stall_seconds):
                if done := isinstance(message := decode(line), Done):
                    return
                yield message
            stderr = await _require_pipe(process.stderr).read()
            raise WorkerDied(await process.wait(), stderr.decode(errors="replace")[-DETAIL_BYTES:])
        finally:
            if done and self._idle is None:
                self._idle = process
            else:
                await _end(process)

    def _take_idle(self) -> Process | None:
        process, self._idle = self._idle, None
        return process if process and process.returncode is None else None

    async def _start_idle(self) -> None:
        try:
            process = await _spawn()
            if self._idle is None:
                self._idle = process
            else:
                await _end(process)
        finally:
            self._starting = None


async def _next_line(process: Process, task: SyncTask, stall_seconds: float) -> bytes:
    """Return the next line of the worker's stdout; empty if it has ended."""
    reading = asyncio.ensure_future(_require_pipe(process.stdout).readline())
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


async def _spawn() -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.airbyte.worker", stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=LINE_LIMIT
    )


async def _send(process: Process, task: SyncTask) -> None:
    if process.stdin is None:
        raise WorkerDied(-1, "it has no stdin")
    try:
        process.stdin.write(task.to_line())
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        raise WorkerDied(await process.wait(), "") from None


def _require_pipe(pipe: asyncio.StreamReader | None) -> asyncio.StreamReader:
    if pipe is None:
        raise WorkerDied(-1, "it has no pipe to read from")
    return pipe


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()

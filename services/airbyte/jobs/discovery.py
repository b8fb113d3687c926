"""Discover which columns the streams of a source have."""

import asyncio
import logging
import shutil
from contextlib import aclosing
from dataclasses import replace
from uuid import uuid4

from services.airbyte.catalog.catalog import types_of
from services.airbyte.catalog.config import Source, Stream
from services.airbyte.jobs import workers
from services.airbyte.jobs.tasks import TaskBuilder, files_of
from services.airbyte.jobs.workers import WorkerDied, WorkerStalled
from services.airbyte.names import printable
from services.airbyte.protocol import Discovered, Failed

log = logging.getLogger("airbyte")
Columns = dict[str, str]


class Discovery:
    """Caches what it discovers until a caller asks for a new discovery, as Airbyte does."""

    def __init__(self, tasks: TaskBuilder, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._tasks = tasks
        self._cache: dict[str, dict[str, Columns]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def columns(self, source: Source, again: bool = False) -> dict[str, Columns]:
        """Return the types of each stream's columns, as declared or inferred from the stream's oldest file.

        A stream is missing if its oldest file cannot be read. `again` ignores the cache.
        """
        streams = source.configuration.streams
        known = {s.name: types_of(s, self._tasks.like_airbyte) for s in streams}
        if inferred := [stream for stream in streams if not stream.columns]:
            known |= await self._inferred(source, inferred, again)
        return known

    async def _inferred(self, source: Source, streams: list[Stream], again: bool) -> dict[str, Columns]:
        key = source.configuration.model_dump_json()
        async with self._one_at_a_time:
            if again or key not in self._cache:
                found = await self._discover(source, streams)
                if len(found) < len(streams):
                    return found
                self._cache[key] = found
            return self._cache[key]

    async def _discover(self, source: Source, streams: list[Stream]) -> dict[str, Columns]:
        found: dict[str, Columns] = {}
        tasks = [files_of(stream, source.configuration.prefix) for stream in streams]
        task = replace(self._tasks.source(source, f"discover-{uuid4()}", tasks), discover=True)
        try:
            async with aclosing(workers.run(task, self._stall_seconds)) as messages:
                async for message in messages:
                    if isinstance(message, Discovered):
                        found[message.stream] = message.columns
                    elif isinstance(message, Failed):
                        log.warning("discover %s: %s", message.stream, printable(message.message))
        except (WorkerDied, WorkerStalled) as error:
            log.warning("discover: %r", error)
        finally:
            shutil.rmtree(task.work_dir, ignore_errors=True)
        return found

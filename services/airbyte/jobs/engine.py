"""Run jobs: each job is a task, each attempt a worker process. A connection runs one job at a time."""

import asyncio
import logging
import shutil
from collections import defaultdict
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from services.airbyte.catalog.catalog import Catalog, SyncedStream
from services.airbyte.catalog.config import Connection
from services.airbyte.catalog.destination_config import LakeConfiguration
from services.airbyte.errors import CompactionFailed, RemovalFailed
from services.airbyte.faults import Fault, FaultKind, Faults
from services.airbyte.jobs import attempt_log, failures, workers
from services.airbyte.jobs.discovery import Discovery
from services.airbyte.jobs.model import CLEARS, TERMINAL, Job, JobStatus
from services.airbyte.jobs.store import Store
from services.airbyte.jobs.tasks import TaskBuilder
from services.airbyte.jobs.workers import WorkerDied, WorkerStalled
from services.airbyte.load.lake_lock import lock_file
from services.airbyte.names import has_schema, printable
from services.airbyte.protocol import (
    Committed,
    Compacted,
    Failed,
    Ignored,
    NewColumns,
    Reading,
    Removed,
    SyncTask,
    Widened,
)
from services.airbyte.settings import Settings

log = logging.getLogger("airbyte")
MAX_RETRY_DELAY = 600.0  # seconds


WorkerEvent = Committed | Compacted | Ignored | NewColumns | Removed | Widened
"""What a worker reports after each step."""


@dataclass(frozen=True)
class RunningAttempt:
    """An attempt of a job, with its connection, streams and fault."""

    job: Job
    number: int
    connection: Connection
    streams: list[SyncedStream]
    fault: Fault | None

    @property
    def counted_fault(self) -> FaultKind | None:
        """The kind of the attempt's fault, unless the fault ends after a number of attempts, and did."""
        return self.fault.kind if self.fault and self.number < self.fault.attempts else None


class Engine:
    def __init__(self, settings: Settings, catalog: Catalog, store: Store, faults: Faults) -> None:
        self._settings = settings
        self._catalog = catalog
        self._store = store
        self._faults = faults
        self._task_builder = TaskBuilder(settings, catalog, store)
        self.discovery = Discovery(self._task_builder, settings.stall_timeout)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._awaiting_approval: set[int] = set()  # jobs that found new columns
        self._slots = asyncio.Semaphore(settings.max_running_jobs)
        self._connection_locks: defaultdict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._folder_lock = asyncio.Lock()  # held while files are changed outside a sync

    async def start(self) -> None:
        """Write the empty schema files and resume the jobs that the last stop interrupted."""
        workers.warm_up()
        shutil.rmtree(self._task_builder.work_dir, ignore_errors=True)
        await self.prepare()
        for job in self._store.active_jobs():
            if job.status is JobStatus.RUNNING:
                self._store.end_last_attempt(job.job_id, JobStatus.INCOMPLETE, [failures.server_stopped()])
            self.submit(self._store.job(job.job_id))

    async def prepare(self) -> None:
        """Write the empty schema files that do not exist yet."""
        for connection in list(self._catalog.connections.values()):
            if not isinstance(self._catalog.destination_of(connection).configuration, LakeConfiguration):
                continue  # the first sync creates its tables, as in Airbyte
            streams = self._catalog.streams_of(connection)
            for lake in {Path(synced.place).parent for synced in streams}:
                lock_file(lake)
            if not all(has_schema(Path(s.place), s.columns) for s in streams):
                async with self._folder_lock:
                    await self._prepare_connection(connection)

    async def stop(self) -> None:
        """Stop all workers. Jobs keep their status in the store, so that the next start resumes them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def submit(self, job: Job) -> None:
        fault = self._faults.for_new_job(job.connection_id)
        task = asyncio.create_task(self._run(job, fault), name=f"job {job.job_id}")
        self._tasks[job.job_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.job_id, None))

    async def remove(self, bucket: str, key: str) -> dict[str, int]:
        """Remove an object's rows from all streams and forget that it was read; return row counts by table or folder.

        It skips connections that read another bucket or prefix. You can repeat an interrupted removal.

        Raises:
            RemovalFailed: a destination failed. Rows that were removed before the failure stay removed.
        """
        rows: dict[str, int] = {}
        failed: list[str] = []
        for connection in list(self._catalog.connections.values()):
            source = self._catalog.sources[connection.sourceId].configuration
            if source.bucket != bucket or not key.startswith(source.prefix):
                continue
            streams = self._catalog.streams_of(connection)
            prefixed = {each.stream.name: f"{connection.prefix}{each.stream.name}" for each in streams}
            async with self._connection_locks[connection.connectionId], self._slots, self._folder_lock:
                removed: dict[str, int] = {}

                def on_event(event: WorkerEvent, removed: dict[str, int] = removed) -> None:
                    if isinstance(event, Removed):
                        removed[event.stream] = event.rows

                task = self._task_builder.removal(connection, streams, key)
                problems = await self._run_worker(task, on_event)
                failed += [each["externalMessage"] for each in problems]
                if not problems:
                    self._store.forget(connection.connectionId, key)
            for stream, count in removed.items():
                if count:
                    rows[prefixed[stream]] = rows.get(prefixed[stream], 0) + count
        if failed:
            raise RemovalFailed("; ".join(failed))
        return rows

    async def compact(self, stream: str = "") -> dict[str, tuple[int, int]]:
        """Merge the small files of a stream, or of all streams in the lake; return each folder's file counts.

        The counts are those before and after. The merge waits for the connection's syncs, and new syncs wait for it.

        Raises:
            CompactionFailed: the stream is not in the lake, or its files could not be merged.
        """
        counts: dict[str, tuple[int, int]] = {}
        failed: list[str] = []
        folders: set[str] = set()
        for connection in list(self._catalog.connections.values()):
            if not isinstance(self._catalog.destination_of(connection).configuration, LakeConfiguration):
                continue
            every = {f"{connection.prefix}{each.stream.name}": each for each in self._catalog.streams_of(connection)}
            wanted = [each for name, each in every.items() if stream in ("", name, each.stream.name)]
            folders |= set(every)
            if not wanted:
                continue
            async with self._connection_locks[connection.connectionId], self._slots, self._folder_lock:

                def on_event(event: WorkerEvent, prefix: str = connection.prefix) -> None:
                    if isinstance(event, Compacted):
                        counts[f"{prefix}{event.stream}"] = event.before, event.after

                task = self._task_builder.compaction(connection, wanted)
                problems = await self._run_worker(task, on_event)
                failed += [each["externalMessage"] for each in problems]
        if stream and not counts and not failed and folders:
            failed.append(f"there is no stream {stream!r} in the lake. Its streams are: {', '.join(sorted(folders))}")
        if failed:
            raise CompactionFailed("; ".join(failed))
        return counts

    def cancel(self, connection_id: UUID) -> None:
        """Cancel all jobs of the connection. Files that are committed stay."""
        for job in self._store.active_jobs(connection_id):
            if job.status is JobStatus.RUNNING:
                self._store.end_last_attempt(job.job_id, JobStatus.CANCELLED, [failures.cancelled()])
            else:
                self._store.set_status(job.job_id, JobStatus.CANCELLED)
            if task := self._tasks.get(job.job_id):
                task.cancel()

    async def _run(self, job: Job, fault: Fault | None) -> None:
        async with self._connection_locks[job.connection_id]:
            if fault and fault.kind is FaultKind.STUCK_PENDING:
                await self._wait_until_removed(fault)
            if fault and fault.kind is FaultKind.STUCK_QUEUED:
                self._store.set_status(job.job_id, JobStatus.QUEUED)
                await self._wait_until_removed(fault)
            try:
                await self._run_attempts(job, fault)
            except Exception as error:
                log.exception("job %d", job.job_id)
                self._give_up(job, error)

    async def _run_attempts(self, job: Job, fault: Fault | None) -> None:
        """Run attempts until one succeeds, fails for good, or is the last. Other jobs can run while a job waits."""
        connection = self._catalog.connections[job.connection_id]
        streams = self._catalog.streams_of(connection)
        for attempts_left in reversed(range(self._settings.max_attempts)):
            async with self._slots:
                number = self._store.start_attempt(job.job_id, [s.stream.name for s in streams])
                attempt = RunningAttempt(job, number, connection, streams, fault)
                problems = await self._run_attempt(attempt)
            if job.job_id in self._awaiting_approval:
                self._end(attempt, JobStatus.CANCELLED, problems)  # as Airbyte does if new columns need approval
            if self._store.job(job.job_id).status in TERMINAL:
                return
            is_retried = attempts_left > 0 and failures.is_transient(problems)
            status = JobStatus.INCOMPLETE if is_retried else JobStatus.FAILED
            self._end(attempt, status if problems else JobStatus.SUCCEEDED, problems)
            if not problems or not is_retried:
                return
            await asyncio.sleep(min(self._settings.retry_delay * 2**number, MAX_RETRY_DELAY))

    async def _run_attempt(self, attempt: RunningAttempt) -> list[dict[str, Any]]:
        """Run an attempt; return its failures. An empty list means success."""
        if (outcome := await self._apply_fault(attempt)) is not None:
            return outcome
        task = self._task_builder.attempt(attempt.connection, attempt.job, attempt.streams)
        if attempt.job.job_type in CLEARS:
            problems = await self._run_worker(replace(task, clear=True))
            for synced in [] if problems else attempt.streams:
                self._store.next_generation(attempt.job, synced.stream.name)
            return problems
        task = replace(task, vanish=attempt.counted_fault is FaultKind.FILE_DISAPPEARS)
        return await self._run_worker(task, lambda event: self._handle_event(attempt, event))

    def _handle_event(self, attempt: RunningAttempt, event: WorkerEvent) -> None:
        """Record a worker's event. If it needs attention, also warn in the attempt's log."""
        line, job, number = "", attempt.job, attempt.number
        match event:
            case Committed():
                self._store.record(job, number, event)
                line = attempt_log.skipped_rows(event) if event.skipped else ""
            case Widened():
                line = attempt_log.widened(event)
            case NewColumns():
                self._store.propose_columns(job.connection_id, event.stream, event.names)
                self._disable(job)
                line = attempt_log.new_columns(event)
            case Ignored() if self._store.ignore(job.connection_id, event):
                line = f"{event.key} is ignored: {event.reason}."
        if line:
            log.warning(line := printable(f"WARN {line}"))
            self._store.note(job.job_id, number, line)

    def _disable(self, job: Job) -> None:
        self._awaiting_approval.add(job.job_id)
        changed = self._catalog.connections[job.connection_id].model_copy(update={"status": "inactive"})
        self._catalog.put("connection", changed)
        self._store.save_resource("connection", job.connection_id, changed.model_dump_json(), deleted=False)

    async def _apply_fault(self, attempt: RunningAttempt) -> list[dict[str, Any]] | None:
        """Apply a fault; return the attempt's failures, or None if the attempt should run as usual."""
        if not (fault := attempt.fault):
            return None
        match fault.kind:
            case FaultKind.STUCK_RUNNING:
                await self._wait_until_removed(fault)
            case FaultKind.FAIL:
                return [failures.injected(fault.reason, "system_error")]
            case FaultKind.FAIL_ATTEMPTS if attempt.counted_fault:
                return [failures.injected(fault.reason, "transient_error")]
            case FaultKind.CANCELLED:
                self._end(attempt, JobStatus.CANCELLED, [failures.cancelled()])
                return []
            case FaultKind.ZERO_ROWS:
                return []
        return None

    async def _wait_until_removed(self, fault: Fault) -> None:
        while self._faults.is_present(fault):
            await asyncio.sleep(0.05)

    async def _prepare_connection(self, connection: Connection) -> None:
        task = self._task_builder.attempt(connection, None, self._catalog.streams_of(connection))
        if problems := await self._run_worker(task):
            raise RuntimeError(f"Cannot prepare the lake's folders: {problems[0]['internalMessage']}")

    async def _run_worker(
        self, task: SyncTask, on_event: Callable[[WorkerEvent], None] = lambda _: None
    ) -> list[dict[str, Any]]:
        """Run a worker until it ends, and return its failures. `on_event` gets each finished step."""
        problems: list[dict[str, Any]] = []
        current_keys: dict[str, str] = {}  # stream -> the key that it is reading
        try:
            async with aclosing(workers.run(task, self._settings.stall_timeout)) as messages:
                async for message in messages:
                    match message:
                        case Reading() as reading:
                            current_keys[reading.stream] = reading.key
                        case Committed() | Compacted() | Ignored() | NewColumns() | Removed() | Widened() as done:
                            on_event(done)
                            if isinstance(done, Committed):
                                current_keys.pop(done.stream, None)
                        case Failed() as failed:
                            if failed.detail:
                                log.error("stream %s: %s", failed.stream, printable(failed.detail))
                            problems.append(failures.from_stream(failed))
                            current_keys.pop(failed.stream, None)
            return problems
        except WorkerDied as error:
            return [*problems, failures.worker_died(error.exit_code, error.detail, current_keys.values())]
        except WorkerStalled:
            return [*problems, failures.worker_stalled(self._settings.stall_timeout, current_keys.values())]
        finally:
            shutil.rmtree(task.work_dir, ignore_errors=True)

    def _end(self, attempt: RunningAttempt, status: JobStatus, problems: list[dict[str, Any]]) -> None:
        self._store.end_attempt(attempt.job.job_id, attempt.number, status, problems)
        log.info("job %d: attempt %d: %s", attempt.job.job_id, attempt.number, status)

    def _give_up(self, job: Job, error: Exception) -> None:
        status = self._store.job(job.job_id).status
        if status is JobStatus.RUNNING:
            number = self._store.end_last_attempt(job.job_id, JobStatus.FAILED, [failures.internal(error)])
            log.info("job %d: attempt %d: %s", job.job_id, number, JobStatus.FAILED)
        elif status not in TERMINAL:
            self._store.set_status(job.job_id, JobStatus.FAILED)

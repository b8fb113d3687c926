"""Build the tasks for worker processes."""

from dataclasses import replace
from typing import Literal

from services.airbyte.catalog.catalog import Catalog, SyncedStream
from services.airbyte.catalog.config import Connection, Source, Stream, SyncMode
from services.airbyte.catalog.destination_config import REVEAL, SnowflakeConfiguration
from services.airbyte.formats.model import Limits
from services.airbyte.jobs.model import CLEARS, Job
from services.airbyte.jobs.store import Store
from services.airbyte.protocol import S3Access, StreamTask, SyncTask
from services.airbyte.settings import Settings

NEW_COLUMNS: dict[str, Literal["ignore", "stop"]] = {"ignore": "ignore", "disable_connection": "stop"}
FULL_REFRESH = (SyncMode.FULL_REFRESH_OVERWRITE, SyncMode.FULL_REFRESH_APPEND)


class TaskBuilder:
    """Each task gets its own folder in `work_dir`."""

    def __init__(self, settings: Settings, catalog: Catalog, store: Store) -> None:
        self.work_dir = settings.state_dir.absolute() / "work"
        self.like_airbyte = settings.like_airbyte
        self._settings = settings
        self._catalog = catalog
        self._store = store

    def attempt(self, connection: Connection, job: Job | None, streams: list[SyncedStream]) -> SyncTask:
        """Return the task for an attempt. Without a job, the task only creates the streams' folders or tables."""
        source = self._catalog.sources[connection.sourceId]
        destination = self._catalog.destinations[connection.destinationId].configuration
        tasks = [self._stream(connection, job, synced, source.configuration.prefix) for synced in streams]
        snowflake = isinstance(destination, SnowflakeConfiguration)
        job_id = job.job_id if job else 0
        return replace(
            self.source(source, f"job-{job_id}", tasks),
            job_id=job_id,
            connection_id=str(connection.connectionId),
            snowflake=destination.model_dump(mode="json", context=REVEAL) if snowflake else None,
            prepare_only=job is None,
        )

    def removal(self, connection: Connection, streams: list[SyncedStream], key: str) -> SyncTask:
        """Return the task that removes the rows of the object `key` from the streams."""
        id_, task = connection.connectionId, self.attempt(connection, None, streams)
        found = [replace(each, targets=self._store.targets(id_, each.name, key)) for each in task.streams]
        return replace(task, streams=found, work_dir=f"{task.work_dir}-{id_}", prepare_only=False, remove=key)

    def compaction(self, connection: Connection, streams: list[SyncedStream]) -> SyncTask:
        """Return the task that merges those small files of the streams that are recorded in the state."""
        id_, task = connection.connectionId, self.attempt(connection, None, streams)
        self._store.flush()  # a merged file whose record got lost would be loaded again
        known = [replace(each, targets=self._store.targets(id_, each.name)) for each in task.streams]
        return replace(task, streams=known, work_dir=f"{task.work_dir}-{id_}", prepare_only=False, compact=True)

    def source(self, source: Source, folder: str, streams: list[StreamTask]) -> SyncTask:
        """Return a task for the source's files with the fields that all tasks share."""
        settings = self._settings
        key, secret, token = settings.s3_access_key_id, settings.s3_secret_access_key, settings.s3_session_token
        return SyncTask(
            job_id=0,
            connection_id="",
            bucket=source.configuration.bucket,
            work_dir=str(self.work_dir / folder),
            memory_limit=settings.memory_limit,
            threads=settings.threads,
            streams_at_once=settings.streams_at_once,
            like_airbyte=settings.like_airbyte,
            streams=streams,
            limits=Limits(
                settings.max_file_size,
                settings.max_gzip_ratio,
                settings.max_line_size,
                settings.max_header_size,
                settings.max_columns,
            ),
            s3=S3Access(
                settings.s3_endpoint_url,
                settings.s3_region,
                key.get_secret_value() if key else None,
                secret.get_secret_value() if secret else None,
                token.get_secret_value() if token else None,
            ),
        )

    def _stream(self, connection: Connection, job: Job | None, synced: SyncedStream, prefix: str) -> StreamTask:
        dedup = synced.choice.syncMode is SyncMode.INCREMENTAL_DEDUPED_HISTORY
        name, mode = synced.stream.name, synced.choice.syncMode
        refreshed = self._store.refreshed(job.job_id) if job else {}
        is_full_refresh = job is not None and job.job_type not in CLEARS and mode in FULL_REFRESH
        if job and (is_full_refresh or name in refreshed):
            generation = self._store.next_generation(job, name)
        else:
            generation = self._store.generation(connection.connectionId, name)
        return replace(
            files_of(synced.stream, prefix),
            place=synced.place,
            table=f"{connection.prefix}{name}",
            columns=synced.columns,
            generation=generation,
            overwrite=mode is SyncMode.FULL_REFRESH_OVERWRITE or refreshed.get(name) is False,
            new_columns=NEW_COLUMNS.get(connection.nonBreakingSchemaUpdatesBehavior, "add"),
            approved=self._store.approved_columns(connection.connectionId, name),
            dedup_key=[column for (column,) in synced.primary_key] if dedup else [],
            selected=synced.selected,
            read=self._store.read_versions(connection.connectionId, name, generation),
        )


def files_of(stream: Stream, prefix: str) -> StreamTask:
    return StreamTask(
        name=stream.name, prefix=prefix, globs=stream.globs or [f"{stream.name}/**"], format=stream.format
    )

"""Build the public API's responses as Airbyte's server does: without nulls, and with times as java.time prints them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from services.airbyte.catalog.catalog import Catalog
from services.airbyte.catalog.config import Connection, Destination, Source, Stream, SyncMode, Tag, Workspace
from services.airbyte.catalog.stream_choices import CURSOR
from services.airbyte.jobs.model import TERMINAL, Job, JobStatus, JobType


def job(job: Job) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "jobId": job.job_id,
        "status": job.status.value,
        "jobType": (JobType.RESET if job.job_type is JobType.CLEAR else job.job_type).value,
        "startTime": instant(job.created_at),
        "connectionId": str(job.connection_id),
    }
    if job.status in TERMINAL:
        shown["lastUpdatedAt"] = instant(job.updated_at)
    if job.status is not JobStatus.PENDING:
        shown["duration"] = duration(job.updated_at - job.created_at)
    if job.rows is not None and job.bytes is not None:
        shown |= {"bytesSynced": job.bytes, "rowsSynced": job.rows}
    return shown


def instant(microseconds: int) -> str:
    """Format a time in UTC. Like Java's toString, leave out seconds that are zero."""
    at = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    return at.strftime("%Y-%m-%dT%H:%MZ" if at.second == 0 else "%Y-%m-%dT%H:%M:%SZ")


def duration(microseconds: int) -> str:
    """Format a duration as ISO 8601 in hours, minutes and whole seconds: PT1H2M3S."""
    minutes, seconds = divmod(max(microseconds, 0) // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "H"), (minutes, "M"), (seconds, "S")]
    return "PT" + ("".join(f"{number}{unit}" for number, unit in parts if number) or "0S")


def page(data: list[dict[str, Any]], url: str, kept: list[tuple[str, str]], limit: int, offset: int) -> dict[str, Any]:
    """Return one page of a list. As on Airbyte's server, each page that is not empty has a next page."""
    following = [*kept, ("limit", str(limit)), ("offset", str(offset + limit))]
    before = [("limit", str(limit)), *kept, ("limit", str(limit)), ("offset", str(max(offset - limit, 0)))]
    return {
        "previous": f"{url}?{urlencode(before)}" if offset else "",
        "next": f"{url}?{urlencode(following)}" if data else "",
        "data": data,
    }


def workspace(workspace: Workspace) -> dict[str, Any]:
    return workspace.model_dump(mode="json", exclude_none=True)


def tag(tag: Tag) -> dict[str, Any]:
    return tag.model_dump(mode="json")


def source(source: Source) -> dict[str, Any]:
    configuration = source.configuration.model_dump(mode="json", exclude={"sourceType"})
    return _actor(source, "sourceId", source.sourceId, configuration, "sourceType", source.configuration.sourceType)


def destination(destination: Destination) -> dict[str, Any]:
    configuration = destination.configuration.model_dump(mode="json", exclude_none=True)
    type_ = destination.configuration.destinationType
    return _actor(destination, "destinationId", destination.destinationId, configuration, "destinationType", type_)


def connection(connection: Connection, catalog: Catalog) -> dict[str, Any]:
    namespace = {"namespaceFormat": connection.namespaceFormat} if connection.namespaceFormat else {}
    return namespace | {
        "connectionId": str(connection.connectionId),
        "name": connection.name,
        "sourceId": str(connection.sourceId),
        "destinationId": str(connection.destinationId),
        "workspaceId": str(catalog.workspace_of(connection)),
        "status": connection.status,
        "schedule": connection.schedule.model_dump(mode="json", exclude_none=True),
        "nonBreakingSchemaUpdatesBehavior": connection.nonBreakingSchemaUpdatesBehavior,
        "namespaceDefinition": connection.namespaceDefinition,
        "prefix": connection.prefix,
        "configurations": {
            "streams": [
                {"selectedFields": [], "mappers": []}
                | synced.choice.model_dump(mode="json", exclude_none=True)
                | {"cursorField": CURSOR, "primaryKey": synced.primary_key}
                for synced in catalog.streams_of(connection)
            ]
        },
        "createdAt": connection.createdAt,
        "tags": [tag(catalog.tags[id_]) for id_ in connection.tags if id_ in catalog.tags],
    }


def stream(stream: Stream, modes: Iterable[SyncMode], columns: Iterable[str]) -> dict[str, Any]:
    return {
        "streamName": stream.name,
        "syncModes": [mode.value for mode in modes],
        "defaultCursorField": CURSOR,
        "sourceDefinedCursorField": True,
        "sourceDefinedPrimaryKey": [[column] for column in stream.primaryKey],
        "propertyFields": [[column] for column in columns],
    }


def _actor(
    actor: Source | Destination, id_name: str, id_: UUID, configuration: dict[str, Any], type_name: str, type_: str
) -> dict[str, Any]:
    return {
        id_name: str(id_),
        "name": actor.name,
        type_name: type_,
        "definitionId": str(actor.definitionId),
        "workspaceId": str(actor.workspaceId),
        "configuration": configuration,
        "createdAt": actor.createdAt,
    }

"""The operations of Airbyte's internal Configuration API that clients of the public API also use.

They are below /api/v1, take POST requests, and have an optional slash at the end.
"""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte import problems
from services.airbyte.catalog.catalog import SyncedStream
from services.airbyte.catalog.config import ColumnType, Connection, SyncMode
from services.airbyte.catalog.stream_choices import CURSOR
from services.airbyte.jobs.discovery import Columns
from services.airbyte.jobs.job_query import JobQuery
from services.airbyte.jobs.model import Attempt, Job, JobType, StreamStats
from services.airbyte.routes.endpoints import Handler, Mock, json_body, operation, uuid_value
from services.airbyte.routes.jobs import start_job

CONFIG_TYPES = {
    JobType.SYNC: "sync",
    JobType.RESET: "reset_connection",
    JobType.CLEAR: "clear",
    JobType.REFRESH: "refresh",
}
MODES = {
    SyncMode.FULL_REFRESH_OVERWRITE: ("full_refresh", "overwrite"),
    SyncMode.FULL_REFRESH_APPEND: ("full_refresh", "append"),
    SyncMode.INCREMENTAL_APPEND: ("incremental", "append"),
    SyncMode.INCREMENTAL_DEDUPED_HISTORY: ("incremental", "append_dedup"),
}
JSON_TYPES = {
    ColumnType.TIMESTAMP: {"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
    ColumnType.DATE: {"type": "string", "format": "date"},
    ColumnType.UNION: {"type": ["object", "array"]},
}


async def health(_request: Request, _mock: Mock) -> Response:
    return JSONResponse({"available": True})


async def get_connection(request: Request, mock: Mock) -> Response:
    connection = _connection(uuid_value(request, (await json_body(request)).get("connectionId"), "connectionId"), mock)
    columns = await mock.engine.discovery.columns(mock.catalog.source_of(connection))
    return JSONResponse(
        {
            "connectionId": str(connection.connectionId),
            "name": connection.name,
            "namespaceDefinition": connection.namespaceDefinition.replace("custom_format", "customformat"),
            "prefix": connection.prefix,
            "sourceId": str(connection.sourceId),
            "destinationId": str(connection.destinationId),
            "syncCatalog": {"streams": [_stream(each, columns) for each in mock.catalog.streams_of(connection)]},
            "scheduleType": connection.schedule.scheduleType,
            "status": connection.status,
            "breakingChange": False,
            "createdAt": connection.createdAt,
        }
    )


async def sync(request: Request, mock: Mock) -> Response:
    id_ = uuid_value(request, (await json_body(request)).get("connectionId"), "connectionId")
    _connection(id_, mock)
    return JSONResponse(_job_info(start_job(mock, id_, JobType.SYNC), mock))


async def refresh(request: Request, mock: Mock) -> Response:
    """Read streams from the start, in a new generation. `Merge` keeps the rows of older ones; `Truncate` does not."""
    body = await json_body(request)
    id_ = uuid_value(request, body.get("connectionId"), "connectionId")
    known = [each.stream.name for each in mock.catalog.streams_of(_connection(id_, mock))]
    if (mode := body.get("refreshMode")) not in ("Merge", "Truncate"):
        raise problems.bad_request(request.url.path, "refreshMode: must be Merge or Truncate")
    wanted = [each.get("streamName") for each in _list(request, body, "streams")] if body.get("streams") else known
    if unknown := [str(name) for name in wanted if name not in known]:
        raise problems.bad_request(request.url.path, f"streams: the connection has no {', '.join(unknown)}")
    job = start_job(mock, id_, JobType.REFRESH)
    mock.store.refresh(job.job_id, list(dict.fromkeys(wanted)), keeps_rows=mode == "Merge")
    return JSONResponse(_job_info(job, mock))


def _connection(id_: UUID, mock: Mock) -> Connection:
    if (connection := mock.catalog.connections.get(id_)) is None:
        message = f"Could not find configuration for STANDARD_SYNC: {id_}."
        raise problems.ApiError(404, {"message": message, "id": str(id_)})
    return connection


def _stream(synced: SyncedStream, columns: dict[str, Columns]) -> dict[str, Any]:
    stream = synced.stream
    source_mode, destination_mode = MODES[synced.choice.syncMode]
    return {
        "stream": {
            "name": stream.name,
            "jsonSchema": {"type": "object", "properties": _properties(columns.get(stream.name, {}))},
            "supportedSyncModes": ["full_refresh", "incremental"],
            "sourceDefinedCursor": True,
            "defaultCursorField": CURSOR,
            "sourceDefinedPrimaryKey": [[column] for column in stream.primaryKey],
        },
        "config": {
            "syncMode": source_mode,
            "destinationSyncMode": destination_mode,
            "cursorField": CURSOR,
            "primaryKey": synced.primary_key,
            "aliasName": stream.name,
            "selected": True,
        },
    }


def _properties(columns: Columns) -> dict[str, Any]:
    return {name: JSON_TYPES.get(ColumnType(type_), {"type": type_}) for name, type_ in columns.items()}


async def get(request: Request, mock: Mock) -> Response:
    return JSONResponse(_job_info(await _known_job(request, mock), mock))


async def cancel(request: Request, mock: Mock) -> Response:
    """Cancel the active job of the job's connection, as the public API does."""
    job = await _known_job(request, mock)
    mock.engine.cancel(job.connection_id)
    return JSONResponse(_job_info(mock.store.job(job.job_id), mock))


async def list_(request: Request, mock: Mock) -> Response:
    """List the jobs of a connection, or of all connections, newest first and without logs."""
    body = await json_body(request)
    types = [type_ for type_, name in CONFIG_TYPES.items() if name in _list(request, body, "configTypes")]
    ids = [uuid_value(request, body["configId"], "configId")] if body.get("configId") else None
    page = body.get("pagination") or {}
    offset, size = (_count(request, page, *each) for each in (("rowOffset", 0), ("pageSize", JobQuery.limit)))
    query = JobQuery(connection_ids=ids, job_types=types, order_by="created_at DESC", limit=size, offset=offset)
    shown = [
        {"job": _job(job), "attempts": [_attempt(each) for each in mock.store.attempts(job.job_id)]}
        for job in mock.store.jobs(query)
    ]
    return JSONResponse({"jobs": shown, "totalJobCount": mock.store.count_jobs(query)})


def _list(request: Request, body: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(found := body.get(name), list):
        raise problems.bad_request(request.url.path, f"{name}: must be a list")
    return found


def _count(request: Request, page: Any, name: str, default: int) -> int:
    found = page.get(name, default) if isinstance(page, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise problems.bad_request(request.url.path, f"pagination.{name}: must be a number, 0 or greater")
    return min(found, 2**63 - 1)  # SQLite's largest integer


async def _known_job(request: Request, mock: Mock) -> Job:
    id_ = (await json_body(request)).get("id")
    if not isinstance(id_, int) or isinstance(id_, bool):
        raise problems.bad_request(request.url.path, "id: must be a job number")
    try:
        return mock.store.job(id_)
    except KeyError:
        message = f"Could not find job with id: {id_}"
        raise problems.ApiError(404, {"message": message, "id": str(id_)}) from None


def _job_info(job: Job, mock: Mock) -> dict[str, Any]:
    attempts = [
        {"attempt": _attempt(each), "logs": {"logLines": mock.store.notes(job.job_id, each.number)}}
        for each in mock.store.attempts(job.job_id)
    ]
    ignored = [{"key": key, "reason": reason} for key, reason in mock.store.ignored(job.connection_id)]
    return {"job": _job(job), "attempts": attempts, "ignoredFiles": ignored}


def _job(job: Job) -> dict[str, Any]:
    total = StreamStats(job.rows or 0, job.bytes or 0, job.rows or 0, job.bytes or 0)
    return {
        "id": job.job_id,
        "configType": CONFIG_TYPES[job.job_type],
        "configId": str(job.connection_id),
        "createdAt": job.created_at // 1_000_000,
        "updatedAt": job.updated_at // 1_000_000,
        "status": job.status.value,
        "aggregatedStats": _stats(total),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    streams = attempt.streams.values()
    total = StreamStats(*(sum(column) for column in zip(*(asdict(s).values() for s in streams), strict=True)))
    shown: dict[str, Any] = {
        "id": attempt.number,
        "status": attempt.status,
        "createdAt": attempt.created_at // 1_000_000,
        "updatedAt": attempt.updated_at // 1_000_000,
        "bytesSynced": total.bytes_committed,
        "recordsSynced": total.records_committed,
        "totalStats": _stats(total),
        "streamStats": [{"streamName": name, "stats": _stats(stats)} for name, stats in attempt.streams.items()],
    }
    if attempt.ended_at is not None:
        shown["endedAt"] = attempt.ended_at // 1_000_000
    if attempt.failures:
        committed = total.records_committed > 0
        shown["failureSummary"] = {"failures": attempt.failures, "partialSuccess": committed}
    return shown


def _stats(stats: StreamStats) -> dict[str, int]:
    return {
        "recordsEmitted": stats.records_emitted,
        "bytesEmitted": stats.bytes_emitted,
        "recordsCommitted": stats.records_committed,
        "bytesCommitted": stats.bytes_committed,
        "recordsRejected": stats.records_rejected,
    }


def _both(path: str, name: str, handler: Handler, public: bool = False) -> list[Route]:
    return [operation("POST", each, name, handler, public) for each in (path, f"{path}/")]


ROUTES: list[Route] = [
    operation("GET", "/health", "getConfigurationHealth", health, public=True),
    operation("GET", "/health/", "getConfigurationHealth", health, public=True),
    *_both("/health", "getConfigurationHealth", health, public=True),
    *_both("/connections/get", "getConnectionInfo", get_connection),
    *_both("/connections/sync", "syncConnection", sync),
    *_both("/connections/refresh", "refreshConnectionStream", refresh),
    *_both("/jobs/get", "getJobInfo", get),
    *_both("/jobs/list", "listJobsFor", list_),
    *_both("/jobs/cancel", "cancelJob", cancel),
]

"""The mock's state, for `/_mock/state` and for its page."""

from typing import Any
from uuid import UUID

from services.airbyte.catalog.catalog import SyncedStream
from services.airbyte.catalog.config import Connection
from services.airbyte.jobs.job_query import JobQuery
from services.airbyte.jobs.model import Job
from services.airbyte.routes import wire
from services.airbyte.routes.endpoints import Mock


def state(mock: Mock) -> dict[str, Any]:
    jobs = [
        {"created": j.created_at, "attempts": len(mock.store.attempts(j.job_id)), **wire.job(j)} for j in _jobs(mock)
    ]
    return {
        "jobs": jobs,
        "connections": [_connection(connection, mock) for connection in mock.catalog.connections.values()],
        "validTokens": mock.store.valid_tokens(),
        "faults": [fault.model_dump(mode="json", exclude_none=True) for fault in mock.faults.all()],
    }


def _jobs(mock: Mock) -> list[Job]:
    """Return the newest 100 jobs, and all active ones."""
    newest = mock.store.jobs(JobQuery(order_by="created_at DESC", limit=100))
    return sorted({j.job_id: j for j in [*newest, *mock.store.active_jobs()]}.values(), key=lambda j: -j.job_id)


def _connection(connection: Connection, mock: Mock) -> dict[str, Any]:
    id_ = connection.connectionId
    streams = [_stream(id_, synced, mock) for synced in mock.catalog.streams_of(connection)]
    return {"connectionId": str(id_), "name": connection.name, "status": connection.status, "streams": streams}


def _stream(connection_id: UUID, synced: SyncedStream, mock: Mock) -> dict[str, Any]:
    name = synced.stream.name
    generation = mock.store.generation(connection_id, name)
    files, rows, size = mock.store.totals(connection_id, name, generation)
    where = {"name": name, "syncMode": synced.choice.syncMode.value, "place": synced.place}
    return where | {"generation": generation, "files": files, "rows": rows, "bytes": size}

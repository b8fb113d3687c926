"""Create, get, list and cancel jobs."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte import problems
from services.airbyte.faults import FaultKind
from services.airbyte.jobs.job_query import JobQuery
from services.airbyte.jobs.model import CLEARS, Job, JobStatus, JobType
from services.airbyte.jobs.store import AlreadyRunning
from services.airbyte.routes import wire
from services.airbyte.routes.endpoints import (
    Mock,
    enum_value,
    json_body,
    list_url,
    operation,
    query_int,
    query_time,
    query_uuids,
    uuid_value,
)

ORDERS = {
    f"{name}|{direction}": f"{column} {direction}"
    for name, column in (("createdAt", "created_at"), ("updatedAt", "updated_at"))
    for direction in ("ASC", "DESC")
}


async def create(request: Request, mock: Mock) -> Response:
    body = await json_body(request)
    for name in ("connectionId", "jobType"):
        if body.get(name) is None:
            raise problems.bad_request(request.url.path, f"{name}: must not be null")
    connection_id = uuid_value(request, body["connectionId"], "connectionId")
    job_type = enum_value(request, JobType, str(body["jobType"]), "jobType")
    if job_type is JobType.REFRESH:
        raise problems.unprocessable("Refreshes are not supported in the public API")
    return JSONResponse(wire.job(start_job(mock, connection_id, job_type)))


def start_job(mock: Mock, connection_id: UUID, job_type: JobType) -> Job:
    """Start a job, or return the connection's queued one.

    Raises:
        ApiError: there is no such connection, it is not active, or a job is running.
    """
    connection = mock.catalog.connections.get(connection_id)
    if connection is None:
        raise problems.not_found("connection", connection_id)
    if connection.status != "active":
        raise problems.state_conflict("Could not fulfill request")
    if mock.faults.of_kind(FaultKind.CONFLICT, connection_id):
        raise problems.try_again_later(connection_id)
    if job_type in CLEARS:
        mock.engine.cancel(connection_id)
    try:
        job = mock.store.create_job(connection_id, job_type)
    except AlreadyRunning:
        queued = [j for j in mock.store.active_jobs(connection_id) if j.status is JobStatus.QUEUED]
        if not queued:
            raise problems.try_again_later(connection_id) from None
        return queued[0]
    mock.engine.submit(job)
    return job


async def get(request: Request, mock: Mock) -> Response:
    return JSONResponse(wire.job(_job(request, mock)))


async def cancel(request: Request, mock: Mock) -> Response:
    """Cancel the active job of the job's connection, even if that is another job. Airbyte's server does so, too."""
    job = _job(request, mock)
    mock.engine.cancel(job.connection_id)
    return JSONResponse(wire.job(mock.store.job(job.job_id)))


async def list_(request: Request, mock: Mock) -> Response:
    query, kept = _query(request, mock)
    data = [wire.job(job) for job in mock.store.jobs(query)]
    return JSONResponse(wire.page(data, list_url(request, "/jobs"), kept, query.limit, query.offset))


def _job(request: Request, mock: Mock) -> Job:
    text = request.path_params["jobId"]
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) >= 2**63:
        raise problems.bad_request(request.url.path, f"jobId: {text!r} is not a job number")
    try:
        return mock.store.job(int(text))
    except KeyError:
        if mock.settings.strict:
            raise problems.state_conflict("Job is not currently running") from None
        raise problems.not_found("job", text) from None


def _query(request: Request, mock: Mock) -> tuple[JobQuery, list[tuple[str, str]]]:
    """Return the filters, and the parameters that the links to other pages keep."""
    given = request.query_params
    kept: list[tuple[str, str]] = []
    job_type = enum_value(request, JobType, given["jobType"], "jobType") if "jobType" in given else None
    status = enum_value(request, JobStatus, given["status"], "status") if "status" in given else None
    if job_type:
        kept.append(("jobType", job_type.value))
    connection_ids = None
    if "connectionId" in given:
        connection_ids = [uuid_value(request, given["connectionId"], "connectionId")]
        kept.append(("connectionId", str(connection_ids[0])))
    elif workspace_ids := query_uuids(request, "workspaceIds"):
        connection_ids = mock.catalog.connections_of(workspace_ids)
        kept.append(("workspaceIds", ",".join(map(str, workspace_ids))))
    order = given.get("orderBy", "createdAt|ASC")
    if order not in ORDERS:
        raise problems.bad_request(request.url.path, f"orderBy: {order!r} is not one of {', '.join(ORDERS)}")
    query = JobQuery(
        connection_ids=connection_ids,
        job_types=[job_type] if job_type else None,
        status=status,
        created_from=query_time(request, "createdAtStart"),
        created_to=query_time(request, "createdAtEnd"),
        updated_from=query_time(request, "updatedAtStart"),
        updated_to=query_time(request, "updatedAtEnd"),
        order_by=ORDERS[order],
        limit=query_int(request, "limit", default=20, low=1, high=100),
        offset=query_int(request, "offset", default=0, low=0),
    )
    return query, kept


ROUTES: list[Route] = [
    operation("GET", "/jobs", "listJobs", list_),
    operation("POST", "/jobs", "createJob", create),
    operation("GET", "/jobs/{jobId}", "getJob", get),
    operation("DELETE", "/jobs/{jobId}", "cancelJob", cancel),
]

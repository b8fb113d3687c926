"""The one call of Airbyte's internal Configuration API that tells why a job failed: POST /api/v1/jobs/get."""

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte import problems
from services.airbyte.jobs import Attempt, Job, JobType, StreamStats
from services.airbyte.requests import Mock, json_body, operation

CONFIG_TYPES = {JobType.SYNC: "sync", JobType.RESET: "reset_connection", JobType.CLEAR: "clear"}


async def get(request: Request, mock: Mock) -> Response:
    id_ = (await json_body(request)).get("id")
    if not isinstance(id_, int) or isinstance(id_, bool):
        raise problems.bad_request(request.url.path, "id: must be a job's number")
    try:
        job = mock.store.job(id_)
    except KeyError:
        return JSONResponse({"message": f"Could not find job with id: {id_}", "id": str(id_)}, 404)
    attempts = mock.store.attempts(id_)
    return JSONResponse({"job": _job(job), "attempts": [_attempt(attempt) for attempt in attempts]})


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
    return {"attempt": shown, "logs": {"logLines": []}}


def _stats(stats: StreamStats) -> dict[str, int]:
    return {
        "recordsEmitted": stats.records_emitted,
        "bytesEmitted": stats.bytes_emitted,
        "recordsCommitted": stats.records_committed,
        "bytesCommitted": stats.bytes_committed,
    }


ROUTES: list[Route] = [
    operation("POST", "/jobs/get", "getJobInfo", get),
    operation("POST", "/jobs/get/", "getJobInfo", get),
]

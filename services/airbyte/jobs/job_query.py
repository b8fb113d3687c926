"""The filters of GET /jobs, and their translation to SQL."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.airbyte.jobs.model import JobStatus, JobType


@dataclass(frozen=True)
class JobQuery:
    """Filters of GET /jobs. None means any. Times are microseconds since 1970, and both ends are inclusive."""

    connection_ids: list[UUID] | None = None
    job_types: list[JobType] | None = None
    status: JobStatus | None = None
    created_from: int | None = None
    created_to: int | None = None
    updated_from: int | None = None
    updated_to: int | None = None
    order_by: str = "created_at ASC"
    limit: int = 20
    offset: int = 0


def where(query: JobQuery) -> tuple[str, list[Any]]:
    """Return the WHERE clause for SQLite, which may be empty, and its parameters."""
    tests: list[str] = []
    values: list[Any] = []
    for column, among in (("connection_id", query.connection_ids), ("job_type", query.job_types)):
        if among is not None:
            tests.append(f"{column} IN ({', '.join('?' * len(among))})")
            values += map(str, among)
    for column, wanted in (
        ("status =", query.status),
        ("created_at >=", query.created_from),
        ("created_at <=", query.created_to),
        ("updated_at >=", query.updated_from),
        ("updated_at <=", query.updated_to),
    ):
        if wanted is not None:
            tests.append(f"{column} ?")
            values.append(wanted)
    return (f"WHERE {' AND '.join(tests)}" if tests else ""), values

"""Jobs and attempts, and the changes of status that Airbyte allows (its JobStatus.kt)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID


class JobStatus(StrEnum):
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


class JobType(StrEnum):
    SYNC = "sync"
    RESET = "reset"
    REFRESH = "refresh"
    CLEAR = "clear"


CLEARS = (JobType.RESET, JobType.CLEAR)
"""Types of jobs that only remove rows."""
S = JobStatus
TERMINAL = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED})
ALLOWED_CHANGES: dict[JobStatus, frozenset[JobStatus]] = {
    S.PENDING: frozenset({S.QUEUED, S.RUNNING, S.FAILED, S.CANCELLED, S.INCOMPLETE}),
    S.QUEUED: frozenset({S.PENDING, S.RUNNING, S.CANCELLED, S.FAILED}),
    S.RUNNING: frozenset({S.INCOMPLETE, S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    S.INCOMPLETE: frozenset({S.PENDING, S.RUNNING, S.INCOMPLETE, S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    **{status: frozenset() for status in TERMINAL},
}


@dataclass(frozen=True)
class Job:
    """Times are microseconds since 1970. Rows and bytes are committed totals, None before the first attempt."""

    job_id: int
    connection_id: UUID
    job_type: JobType
    status: JobStatus
    created_at: int
    updated_at: int
    rows: int | None
    bytes: int | None


@dataclass
class StreamStats:
    """Emitted records were read from the source, committed ones reached the destination. Bytes count the source's.

    Rejected records are rows that were skipped, as the stream's format allows.
    """

    records_emitted: int = 0
    bytes_emitted: int = 0
    records_committed: int = 0
    bytes_committed: int = 0
    records_rejected: int = 0


@dataclass
class Attempt:
    """`failures` are FailureReason objects of Airbyte's Configuration API."""

    number: int
    status: str  # running, succeeded or failed; attempts have no other status
    created_at: int
    updated_at: int
    ended_at: int | None = None
    failures: list[dict[str, Any]] = field(default_factory=list)
    streams: dict[str, StreamStats] = field(default_factory=dict)

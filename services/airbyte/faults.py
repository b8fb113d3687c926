"""Inject faults. Each is one that the real service can produce. Callers choose what it affects and how often."""

from collections.abc import Iterable
from enum import StrEnum
from itertools import count
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.airbyte.operations import CONFIGURATION_API, OPERATIONS


class FaultKind(StrEnum):
    """HTTP faults affect requests for an operation; job faults affect a connection's next job."""

    STATUS = "status"
    MALFORMED_JSON = "malformed_json"
    SLOW = "slow"
    HANG = "hang"
    REFUSE = "refuse"
    TOKEN_EXPIRES = "token_expires"  # noqa: S105 - not a password
    CONFLICT = "conflict"
    STUCK_PENDING = "stuck_pending"
    STUCK_QUEUED = "stuck_queued"
    STUCK_RUNNING = "stuck_running"
    FAIL = "fail"
    FAIL_ATTEMPTS = "fail_attempts"
    CANCELLED = "cancelled"
    ZERO_ROWS = "zero_rows"
    FILE_DISAPPEARS = "file_disappears"


HTTP_KINDS = frozenset({FaultKind.STATUS, FaultKind.MALFORMED_JSON, FaultKind.SLOW, FaultKind.HANG})
OTHER_KINDS = frozenset({FaultKind.REFUSE, FaultKind.TOKEN_EXPIRES, FaultKind.CONFLICT})
JOB_KINDS = frozenset(FaultKind) - HTTP_KINDS - OTHER_KINDS
OPERATION_NAMES = {operation.name for operation in OPERATIONS} | set(CONFIGURATION_API)
STATUSES = frozenset({401, 403, 429, 500, 502, 503, 504})


class FaultRequest(BaseModel):
    """The fault affects `times` requests or jobs. By default, it affects all of them until it is removed.

    The first `skip` matching ones are not affected. With `after`, the fault comes after the request took effect: for
    example, a job exists, but the response is lost. `seconds` is for slow, refuse and token_expires, `reason` for fail
    and fail_attempts, `attempts` for fail_attempts and file_disappears.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    operation: str = "*"
    connectionId: UUID | None = None
    times: int | None = Field(default=None, ge=1)
    skip: int = Field(default=0, ge=0)
    after: bool = False
    status: int = 500
    seconds: float = Field(default=1.0, ge=0, le=3600)
    reason: str = "Injected failure"
    attempts: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind is FaultKind.STATUS and self.status not in STATUSES:
            raise ValueError(f"status must be one of {sorted(STATUSES)}")
        if self.operation != "*" and self.operation not in OPERATION_NAMES:
            raise ValueError(f"there is no operation {self.operation!r}; docs/airbyte-operations.md lists all names")
        if self.kind not in HTTP_KINDS and self.operation != "*":
            raise ValueError(f"{self.kind} does not belong to one operation; remove operation")
        if self.kind in (FaultKind.REFUSE, FaultKind.TOKEN_EXPIRES) and self.connectionId:
            raise ValueError(f"{self.kind} affects all callers; remove connectionId")
        return self


class Fault(FaultRequest):
    faultId: int
    skipped: int = 0
    struck: int = 0


class Faults:
    def __init__(self, at_start: Iterable[FaultRequest] = ()) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = count(1)
        for fault in at_start:
            self.add(fault)

    def add(self, request: FaultRequest) -> Fault:
        fault = Fault(faultId=next(self._ids), **request.model_dump())
        self._faults[fault.faultId] = fault
        return fault

    def all(self) -> list[Fault]:
        return list(self._faults.values())

    def remove(self, fault_id: int) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def is_present(self, fault: Fault) -> bool:
        return fault.faultId in self._faults

    def for_request(self, operation: str, connection_id: UUID | None) -> Fault | None:
        return self._use(
            f
            for f in self.all()
            if f.kind in HTTP_KINDS and f.operation in ("*", operation) and _is_for(f, connection_id)
        )

    def for_new_job(self, connection_id: UUID) -> Fault | None:
        return self._use(f for f in self.all() if f.kind in JOB_KINDS and _is_for(f, connection_id))

    def of_kind(self, kind: FaultKind, connection_id: UUID | None = None) -> Fault | None:
        return self._use(f for f in self.all() if f.kind is kind and _is_for(f, connection_id))

    def _use(self, candidates: Iterable[Fault]) -> Fault | None:
        """Return the oldest candidate that is to act now, and count its use."""
        for fault in candidates:
            if fault.skipped < fault.skip:
                fault.skipped += 1
            elif fault.times is None or fault.struck < fault.times:
                fault.struck += 1
                return fault
        return None


def _is_for(fault: Fault, connection_id: UUID | None) -> bool:
    return fault.connectionId is None or fault.connectionId == connection_id

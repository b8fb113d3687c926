"""Why an attempt failed, as FailureReason objects of Airbyte's Configuration API."""

import time
from typing import Any

from services.airbyte.protocol import Failed


def from_stream(failed: Failed) -> dict[str, Any]:
    reason = _reason(failed.origin, failed.failure_type, failed.message, failed.detail)
    return reason | {"streamDescriptor": {"name": failed.stream}}


def worker_died(exit_code: int, detail: str) -> dict[str, Any]:
    how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    return _reason(
        "replication", "transient_error", f"The sync's worker process {how} before the sync was done.", detail
    )


def server_stopped() -> dict[str, Any]:
    return _reason("airbyte_platform", "transient_error", "The server stopped while the attempt was running.")


def cancelled() -> dict[str, Any]:
    return _reason(
        "airbyte_platform", "manual_cancellation", "Setting attempt to FAILED because the job was cancelled."
    )


def injected(message: str, failure_type: str) -> dict[str, Any]:
    return _reason("source", failure_type, message)


def internal(error: BaseException) -> dict[str, Any]:
    return _reason("airbyte_platform", "system_error", f"The mock itself failed: {error!r}")


def is_transient(failures: list[dict[str, Any]]) -> bool:
    """Whether another attempt may help: no failure says that somebody must mend something first."""
    return all(failure["failureType"] == "transient_error" for failure in failures)


def _reason(origin: str, failure_type: str, message: str, detail: str = "") -> dict[str, Any]:
    return {
        "failureOrigin": origin,
        "failureType": failure_type,
        "externalMessage": message,
        "internalMessage": detail or message,
        "retryable": failure_type == "transient_error",
        "timestamp": time.time_ns() // 1_000_000,
    }

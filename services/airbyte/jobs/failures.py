"""Build the reasons why an attempt failed, as FailureReason objects of Airbyte's Configuration API."""

import time
from collections.abc import Iterable
from typing import Any

from services.airbyte.names import printable
from services.airbyte.protocol import Failed


def from_stream(failed: Failed) -> dict[str, Any]:
    reason = _reason(failed.origin, failed.failure_type, failed.message, failed.detail)
    return reason | {"streamDescriptor": {"name": failed.stream}}


def worker_died(exit_code: int, detail: str, keys: Iterable[str] = ()) -> dict[str, Any]:
    """Report a worker that died while it was reading the files `keys`."""
    how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    message = f"The sync's worker process {how} before the sync was done.{_files(keys)}"
    return _reason("replication", "transient_error", message, detail)


def worker_stalled(seconds: float, keys: Iterable[str]) -> dict[str, Any]:
    """Report a worker that made no progress for `seconds` while it was reading the files `keys`."""
    message = (
        f"The sync made no progress for {seconds:g} s and was stopped.{_files(keys)} Sync again. If the files are "
        "valid but need more time, raise MOCK_AIRBYTE_STALL_TIMEOUT."
    )
    return _reason("replication", "transient_error", message)


def _files(keys: Iterable[str]) -> str:
    return f" It was reading {', '.join(names)}." if (names := sorted(filter(None, keys))) else ""


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
    """Return whether another attempt may succeed without anybody fixing something first."""
    return all(failure["failureType"] == "transient_error" for failure in failures)


def _reason(origin: str, failure_type: str, message: str, detail: str = "") -> dict[str, Any]:
    return {
        "failureOrigin": origin,
        "failureType": failure_type,
        "externalMessage": printable(message),
        "internalMessage": printable(detail or message),
        "retryable": failure_type == "transient_error",
        "timestamp": time.time_ns() // 1_000_000,
    }

"""Client for Airbyte's public API. It starts each sync exactly once and waits for its end."""

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

import httpx

from blocks.airbyte.api import Connection, Discovered, Job, JobDetails, JobReport, Source, report
from blocks.airbyte.errors import (
    AirbyteError,
    AirbyteUnavailable,
    CompactionFailed,
    ConnectionInactive,
    RemovalFailed,
    SyncCancelled,
    SyncFailed,
    SyncTimedOut,
)
from blocks.airbyte.server import AirbyteServer
from blocks.errors import ConfigurationError
from blocks.settings import AIRBYTE_CONNECTION_ID_UNSET

ATTEMPTS = 4
FIRST_POLL_SECONDS, FIRST_RETRY_SECONDS, LAST_POLL_SECONDS = 0.25, 0.5, 10.0
CANCEL_SECONDS = 5.0
"""Timeout of one attempt to cancel a job. It is short, since a run that is being stopped has little time."""
DISCOVERY_SECONDS = 300.0
"""Timeout for a source to describe its streams."""
FILES_SECONDS = 3600.0
"""Timeout for a change of raw's files, which waits for the syncs and dbt commands that use them."""

Failure = TypeVar("Failure", bound=SyncFailed)


def check_connection_id(connection_id: str) -> str:
    """Check a connection's id and return it.

    Raises:
        ConfigurationError: the id is not set, or is not a UUID.
    """
    if connection_id == AIRBYTE_CONNECTION_ID_UNSET:
        raise ConfigurationError(
            "No Airbyte connection is chosen: AIRBYTE_CONNECTION_ID still holds its placeholder. Set it to the id of a "
            "connection, the UUID in its URL in Airbyte's UI, or pass connection_ids to the flow."
        )
    try:
        return str(UUID(connection_id))
    except ValueError:
        raise ConfigurationError(
            f"{connection_id!r} is not an Airbyte connection id, which is a UUID such as "
            "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10. Correct AIRBYTE_CONNECTION_ID or the flow's connection_ids."
        ) from None


class AirbyteClient(AirbyteServer):
    """Starts each sync exactly once and waits for its end."""

    def connection(self, connection_id: str) -> Connection:
        """Read a connection.

        Raises:
            UnknownConnection, AirbyteUnauthorised, AirbyteUnavailable
        """
        return self._parse(Connection, self._get(f"/connections/{connection_id}", subject=connection_id))

    def source_keys(self, source_id: str) -> dict[str, list[str]]:
        """Return the primary key of each stream of a source. A real source reads its data, which may take a minute.

        Raises:
            UnknownConnection, AirbyteUnauthorised, AirbyteForbidden, AirbyteUnavailable
        """
        subject = f"source {source_id}"
        response = self._send("GET", "/streams", params={"sourceId": source_id}, timeout=DISCOVERY_SECONDS)
        self._raise_for(response, subject)
        found = self._parse(Discovered, {"streams": response.json()})
        return {each.name: [".".join(path) for path in each.primary_key] for each in found.streams}

    def connections_of(self, ids: Iterable[str], bucket: str, keys: Collection[str]) -> list[str]:
        """Return the connections that read at least one of the objects.

        Raises:
            UnknownConnection, AirbyteUnauthorised, AirbyteForbidden, AirbyteUnavailable
        """
        found = []
        for connection in map(self.connection, map(check_connection_id, ids)):
            source_id = connection.source_id
            source = self._parse(Source, self._get(f"/sources/{source_id}", subject=f"source {source_id}"))
            if any(source.reads(bucket, key, connection.streams) for key in keys):
                found.append(connection.connection_id)
        return found

    def job(self, job_id: int) -> Job:
        """Read a job."""
        return self._parse(Job, self._get(f"/jobs/{job_id}", subject=f"job {job_id}"))

    def newest_job(self, connection_id: str, running: bool = False) -> Job | None:
        """Return the connection's newest sync; with `running`, the newest that has not ended."""
        params = {"connectionId": connection_id, "jobType": "sync", "orderBy": "createdAt|DESC", "limit": "20"}
        response = self._get("/jobs", params=params, subject=connection_id)
        jobs = [self._parse(Job, job) for job in self._json(response).get("data", [])]
        return next((job for job in jobs if not (running and job.ended)), None)

    def start_sync(self, connection_id: str, timeout: float = 600.0) -> tuple[Job, bool]:
        """Start a sync, or adopt the one that is already running.

        If the answer to a request is lost, the client first asks the server whether the sync has started.

        Args:
            connection_id: UUID of the connection.
            timeout: seconds for which to retry after a 429, or a 409 without a running job.

        Returns:
            The job, and whether it was adopted. An adopted job may have started before the latest files arrived.

        Raises:
            UnknownConnection, ConnectionInactive, AirbyteUnauthorised, AirbyteUnavailable
        """
        before = self.newest_job(connection_id)
        deadline, pause = time.monotonic() + timeout, FIRST_RETRY_SECONDS
        while True:
            try:
                response = self._send("POST", "/jobs", json={"connectionId": connection_id, "jobType": "sync"})
                if response.status_code == 200:
                    return self._parse(Job, response), False
            except AirbyteUnavailable:
                job = self.newest_job(connection_id)
                if job and job.job_id > (before.job_id if before else 0):
                    return job, False
                raise
            if response.status_code not in (409, 429):
                self._raise_for(response, connection_id)
            if response.status_code == 409:
                if job := self.newest_job(connection_id, running=True):
                    return job, True
                self._raise_if_inactive(connection_id)
            if time.monotonic() + pause > deadline:
                self._raise_for(response, connection_id)
            self._sleep(_jittered(pause))
            pause = min(pause * 2, LAST_POLL_SECONDS)

    def wait(self, job: Job, timeout: float, on_poll: Callable[[Job], object] = bool, waited: float = 0.0) -> Job:
        """Wait until the job has succeeded. The pause between two polls grows from 0.25 s to 10 s.

        Args:
            job: the job from `start_sync`.
            timeout: seconds after which the job is cancelled on the server. It is polled at least once.
            on_poll: called with every answer, to show progress.
            waited: seconds of the timeout that have passed already.

        Raises:
            SyncFailed, SyncCancelled, SyncTimedOut
        """
        deadline, pause = time.monotonic() + timeout - waited, FIRST_POLL_SECONDS
        while not job.ended:
            self._sleep(min(pause, max(deadline - time.monotonic(), 0.05)))
            pause = min(pause * 1.5, LAST_POLL_SECONDS)
            job = self.job(job.job_id)
            on_poll(job)
            if not job.ended and time.monotonic() > deadline:
                raise self._timed_out(job, timeout)
        if job.status != "succeeded":
            raise self._failure(job)
        return job

    def cancel(self, job_id: int) -> Job:
        """Cancel a job, with a few retries. A job that has ended does not change.

        Raises:
            AirbyteError: Airbyte does not confirm the cancellation.
        """
        return self._parse(Job, self._repeated("DELETE", f"/jobs/{job_id}", f"job {job_id}", timeout=CANCEL_SECONDS))

    def remove_file(self, bucket: str, key: str) -> dict[str, int] | None:
        """Make the mock Airbyte delete an object's rows from raw, and read the object again if it lands again.

        Returns:
            The number of rows by table; None if the server is not the mock. Only the mock can change its own state.

        Raises:
            RemovalFailed: the rows could not be deleted in a destination.
        """
        answer = self._ask_mock("/_mock/removals", {"bucket": bucket, "key": key})
        if "notRemoved" in answer:
            raise RemovalFailed(f"The rows of {key} were not removed: {answer['notRemoved']}")
        return answer.get("removed")

    def compact(self, stream: str = "") -> dict[str, tuple[int, int]] | None:
        """Make the mock Airbyte merge the small files of a stream, or of all streams, in raw.

        Returns:
            Each table's number of files before and after; None if the server is not the mock, or is an older one.

        Raises:
            CompactionFailed: the stream does not exist, or its files could not be merged.
        """
        answer = self._ask_mock("/_mock/compactions", {"stream": stream})
        if "notCompacted" in answer:
            raise CompactionFailed(f"Raw was not compacted: {answer['notCompacted']}")
        counts = answer.get("compacted")
        return None if counts is None else {name: (before, after) for name, (before, after) in counts.items()}

    def _ask_mock(self, path: str, wanted: Mapping[str, str]) -> dict[str, Any]:
        """Call an endpoint that only the mock Airbyte has; return its answer, or {} from another server."""
        base, public, _ = self.server_url.rpartition("/api/public/v1")
        if not public:
            return {}
        response = self._send("POST", f"{base}{path}", json=wanted, timeout=FILES_SECONDS)
        if response.status_code == 401:
            raise self._unauthorised(response)
        try:
            answer = response.json()
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def report(self, job_id: int) -> JobReport:
        """Return why a job failed and what each stream moved, if the server has the Configuration API."""
        base, public, _ = self.server_url.rpartition("/api/public/v1")
        if not public:
            return JobReport()
        try:
            response = self._send("POST", f"{base}/api/v1/jobs/get", json={"id": job_id})
            self._raise_for(response, f"job {job_id}")
            return report(self._parse(JobDetails, response))
        except AirbyteError:
            return JobReport()

    def _timed_out(self, job: Job, timeout: float) -> SyncTimedOut:
        try:
            self.cancel(job.job_id)
            outcome = "was cancelled"
        except AirbyteError as error:
            outcome = f"could not be cancelled ({error})"
        return _with_rows(
            job,
            SyncTimedOut(
                f"Airbyte job {job.job_id} of connection {job.connection_id} was still {job.status} after {timeout:g} "
                f"s and {outcome}. Look at the job in Airbyte. If a sync may take this long, increase "
                "AIRBYTE_SYNC_TIMEOUT_SECONDS."
            ),
        )

    def _failure(self, job: Job) -> SyncFailed:
        where = f"Airbyte job {job.job_id} of connection {job.connection_id}"
        if job.status == "cancelled":
            text = f"{where} was cancelled outside this flow. Run the flow again to load the rest."
            return _with_rows(job, SyncCancelled(text))
        reason = self.report(job.job_id).reason or "the API gives no reason, see the job's log in Airbyte's UI"
        cause = reason.rstrip(".")
        text = f"{where} {job.status}: {cause}. Fix the cause and run again. Nothing is loaded twice."
        return _with_rows(job, SyncFailed(text))

    def _get(self, path: str, subject: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        return self._repeated("GET", path, subject, params=params)

    def _repeated(self, method: str, path: str, subject: str, **request: Any) -> httpx.Response:
        """Send an idempotent request, and retry it after errors from which the server may recover."""
        pause = FIRST_RETRY_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._send(method, path, **request)
                self._raise_for(response, subject)
                self._json(response)
                return response
            except AirbyteUnavailable:
                if attempt == ATTEMPTS:
                    raise
            self._sleep(_jittered(pause))
            pause = min(pause * 2, LAST_POLL_SECONDS)
        raise AssertionError("unreachable")

    def _raise_if_inactive(self, connection_id: str) -> None:
        connection = self.connection(connection_id)
        if connection.status != "active":
            raise ConnectionInactive(
                f"Airbyte's connection {connection.name!r} ({connection_id}) is {connection.status}. "
                "Activate it in Airbyte, or choose another connection."
            )


def _with_rows(job: Job, failure: Failure) -> Failure:
    failure.rows, failure.job = job.rows_synced, job
    return failure


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)

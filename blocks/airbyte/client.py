"""Client of Airbyte's public API: starts a sync exactly once and waits for its end."""

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
"""How long one attempt to cancel waits for its answer: a run that is being ended has little time."""
DISCOVERY_SECONDS = 300.0
"""How long a source may take to say what its streams have."""
FILES_SECONDS = 3600.0
"""How long a change of raw's files may wait for the syncs and the dbt commands that use them."""

Failure = TypeVar("Failure", bound=SyncFailed)


def check_connection_id(connection_id: str) -> str:
    """Return the id, or say how to set it.

    Raises:
        ConfigurationError: it was never set, or is not a UUID.
    """
    if connection_id == AIRBYTE_CONNECTION_ID_UNSET:
        raise ConfigurationError(
            "No Airbyte connection is chosen: AIRBYTE_CONNECTION_ID still holds its placeholder. Set it to the id of a "
            "connection (in Airbyte's UI the UUID in the connection's URL), or pass connection_ids to the flow."
        )
    try:
        return str(UUID(connection_id))
    except ValueError:
        raise ConfigurationError(
            f"{connection_id!r} is not an Airbyte connection id: a UUID is expected, such as "
            "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10. Correct AIRBYTE_CONNECTION_ID or the flow's connection_ids."
        ) from None


class AirbyteClient(AirbyteServer):
    """Starts syncs, each exactly once, and waits for their ends."""

    def connection(self, connection_id: str) -> Connection:
        """Read a connection.

        Raises:
            UnknownConnection, AirbyteUnauthorised, AirbyteUnavailable
        """
        return self._parse(Connection, self._get(f"/connections/{connection_id}", subject=connection_id))

    def source_keys(self, source_id: str) -> dict[str, list[str]]:
        """Ask a source for the key of each of its streams; a real one looks at its data, which may take a minute.

        Raises:
            UnknownConnection, AirbyteUnauthorised, AirbyteForbidden, AirbyteUnavailable
        """
        subject = f"source {source_id}"
        response = self._send("GET", "/streams", params={"sourceId": source_id}, timeout=DISCOVERY_SECONDS)
        self._raise_for(response, subject)
        found = self._parse(Discovered, {"streams": response.json()})
        return {each.name: [".".join(path) for path in each.primary_key] for each in found.streams}

    def connections_of(self, ids: Iterable[str], bucket: str, keys: Collection[str]) -> list[str]:
        """Those of some connections that read at least one of the objects.

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
        """The connection's newest sync; with `running`, the newest that has not ended."""
        params = {"connectionId": connection_id, "jobType": "sync", "orderBy": "createdAt|DESC", "limit": "20"}
        response = self._get("/jobs", params=params, subject=connection_id)
        jobs = [self._parse(Job, job) for job in self._json(response).get("data", [])]
        return next((job for job in jobs if not (running and job.ended)), None)

    def start_sync(self, connection_id: str, timeout: float = 600.0) -> tuple[Job, bool]:
        """Start a sync, or adopt the one that is already running.

        A request whose answer was lost is not sent again before the server was asked whether it arrived.

        Args:
            connection_id: UUID of the connection.
            timeout: seconds for which a refusal (409 with no job to be seen, 429) is waited out.

        Returns:
            The job, and whether it is an adopted one: such a job may have begun before the latest files arrived.

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
        """Wait until the job has succeeded: asks fast at first, every 10 s later on.

        Args:
            job: as `start_sync` returned it.
            timeout: seconds after which the job is given up, and cancelled on the server; it is asked once at least.
            on_poll: called with every answer, to show progress.
            waited: how many of these seconds have passed already.

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
                raise self._given_up(job, timeout)
        if job.status != "succeeded":
            raise self._failure(job)
        return job

    def cancel(self, job_id: int) -> Job:
        """Cancel a job, in a few attempts. One that has ended stays as it is.

        Raises:
            AirbyteError: Airbyte does not confirm it.
        """
        return self._parse(Job, self._repeated("DELETE", f"/jobs/{job_id}", f"job {job_id}", timeout=CANCEL_SECONDS))

    def remove_file(self, bucket: str, key: str) -> dict[str, int] | None:
        """Have the mock Airbyte take an object's rows out of raw, and read the object again if it lands again.

        Returns:
            The rows by table; None where the server is not the mock, whose state nobody else may change.

        Raises:
            RemovalFailed: a destination refuses.
        """
        answer = self._of_mock("/_mock/removals", {"bucket": bucket, "key": key})
        if "notRemoved" in answer:
            raise RemovalFailed(f"The rows of {key} were not removed: {answer['notRemoved']}")
        return answer.get("removed")

    def compact(self, stream: str = "") -> dict[str, tuple[int, int]] | None:
        """Have the mock Airbyte merge the small files of a stream, or of all streams, in raw.

        Returns:
            How many files each table had, and has; None where the server is not the mock, or an older one.

        Raises:
            CompactionFailed: there is no such stream, or its files could not be merged.
        """
        answer = self._of_mock("/_mock/compactions", {"stream": stream})
        if "notCompacted" in answer:
            raise CompactionFailed(f"Raw was not compacted: {answer['notCompacted']}")
        counts = answer.get("compacted")
        return None if counts is None else {name: (before, after) for name, (before, after) in counts.items()}

    def _of_mock(self, path: str, wanted: Mapping[str, str]) -> dict[str, Any]:
        """Ask the mock Airbyte for what the real one does not do; return its answer, or nothing from another server."""
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
        """Why a job failed, and what each stream moved, where the server offers its Configuration API."""
        base, public, _ = self.server_url.rpartition("/api/public/v1")
        if not public:
            return JobReport()
        try:
            response = self._send("POST", f"{base}/api/v1/jobs/get", json={"id": job_id})
            self._raise_for(response, f"job {job_id}")
            return report(self._parse(JobDetails, response))
        except AirbyteError:
            return JobReport()

    def _given_up(self, job: Job, timeout: float) -> SyncTimedOut:
        try:
            self.cancel(job.job_id)
            outcome = "was cancelled"
        except AirbyteError as error:
            outcome = f"could not be cancelled ({error})"
        return _with_rows(
            job,
            SyncTimedOut(
                f"Airbyte job {job.job_id} of connection {job.connection_id} was still {job.status} after {timeout:g} "
                f"s and {outcome}. Look at the job in Airbyte; if such a sync may take longer, raise "
                "AIRBYTE_SYNC_TIMEOUT_SECONDS."
            ),
        )

    def _failure(self, job: Job) -> SyncFailed:
        where = f"Airbyte job {job.job_id} of connection {job.connection_id}"
        if job.status == "cancelled":
            text = f"{where} was cancelled outside this flow. Run the flow again to load what is left."
            return _with_rows(job, SyncCancelled(text))
        reason = self.report(job.job_id).reason or "Airbyte gives no reason here; its own page of the job shows the log"
        cause = reason.rstrip(".")
        text = f"{where} {job.status}: {cause}. Mend the cause and run again; nothing is loaded twice."
        return _with_rows(job, SyncFailed(text))

    def _get(self, path: str, subject: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        return self._repeated("GET", path, subject, params=params)

    def _repeated(self, method: str, path: str, subject: str, **request: Any) -> httpx.Response:
        """Send what may arrive more than once, again where the server may recover by itself."""
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
                "Switch it on in Airbyte, or choose another connection."
            )


def _with_rows(job: Job, failure: Failure) -> Failure:
    failure.rows, failure.job = job.rows_synced, job
    return failure


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)

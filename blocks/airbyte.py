"""Client of Airbyte's public API: starts a sync exactly once and waits for its end.

The wire format is Airbyte's own (airbyte-platform, `airbyte-api/server-api/src/main/openapi/api.yaml`).
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from blocks.errors import ConfigurationError, PlatformError
from blocks.settings import AIRBYTE_CONNECTION_ID_UNSET

ENDED = frozenset({"succeeded", "failed", "cancelled"})
ATTEMPTS = 4
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.5, 10.0
CANCEL_SECONDS = 5.0
"""How long one attempt to cancel waits for its answer: a run that is being ended has little time."""
REMOVAL_SECONDS = 3600.0
"""How long a removal may wait for the syncs and the dbt commands that use the files."""
TOKEN_MARGIN_SECONDS = 30.0
NO_SECRET = SecretStr("")


Model = TypeVar("Model", bound=BaseModel)
Failure = TypeVar("Failure", bound="SyncFailed")


class AirbyteError(PlatformError):
    """Something went wrong between the platform and Airbyte.

    `rows` were moved nevertheless, by all syncs of the run; `results` are those of the syncs that succeeded.
    """

    rows = 0
    results: "Sequence[SyncResult]" = ()


class AirbyteUnavailable(AirbyteError):
    """Airbyte does not answer, or answers with an error of its own: worth another try."""


class AirbyteUnauthorised(AirbyteError):
    """Airbyte does not accept the credentials."""


class AirbyteForbidden(AirbyteUnauthorised):
    """Airbyte accepts the credentials, but their user may not do what was asked for."""


class UnknownConnection(AirbyteError):
    """Airbyte has no connection with this id."""


class ConnectionInactive(AirbyteError):
    """The connection is switched off, so Airbyte will not sync it."""


class SyncFailed(AirbyteError):
    """The sync ended without success; `rows` were moved by then, of the streams and files that went well."""


class SyncsFailed(SyncFailed):
    """Several syncs failed, or one for a reason that is not Airbyte's; the text has all reasons."""


class SyncCancelled(SyncFailed):
    """Someone cancelled the sync."""


class SyncTimedOut(SyncFailed):
    """The sync did not end in time; it was cancelled."""


class RemovalFailed(AirbyteError):
    """The rows of a file could not be taken out of raw."""


class _Wire(BaseModel):
    model_config = ConfigDict(populate_by_name=True)


class _Stream(_Wire):
    name: str
    sync_mode: str | None = Field(None, alias="syncMode")


class _Configurations(_Wire):
    streams: list[_Stream] = []


class Connection(_Wire):
    """A connection, as far as the platform uses it."""

    connection_id: str = Field(alias="connectionId")
    name: str
    status: str
    prefix: str | None = None
    configurations: _Configurations = _Configurations()

    @property
    def streams(self) -> list[str]:
        """The names of the streams that it syncs."""
        return [stream.name for stream in self.configurations.streams]

    @property
    def deduplicated(self) -> list[str]:
        """The names of those streams of which only the newest row of a key is kept."""
        return [each.name for each in self.configurations.streams if "dedup" in (each.sync_mode or "")]


class Job(_Wire):
    """A job as Airbyte reports it. Airbyte leaves out what it does not know yet."""

    job_id: int = Field(alias="jobId")
    status: str
    connection_id: str = Field(alias="connectionId")
    job_type: str = Field("sync", alias="jobType")
    rows_synced: int = Field(0, alias="rowsSynced")
    bytes_synced: int = Field(0, alias="bytesSynced")
    duration: str = ""
    started: AwareDatetime | None = Field(None, alias="startTime")

    @property
    def ended(self) -> bool:
        """Whether the status is final. An unknown status is not: Airbyte adds some from time to time."""
        return self.status in ENDED


class StreamStats(_Wire):
    """What one stream of a job moved: counts of rows, sizes in bytes.

    `read` are the rows of its files, `rejected` those of them that the source or the destination left out.
    """

    name: str
    rows: int
    bytes: int
    read: int = 0
    rejected: int = 0


class SyncResult(BaseModel):
    """What one sync moved: counts of rows, sizes in bytes, in all and by stream where Airbyte tells.

    `ignored` are the keys of objects that the source does not read, with the reasons. `prefix` begins the names of
    the streams' tables. Of the streams in `deduplicated` only the newest row of each key is kept. With more than one of
    `attempts`, rows may have been read, and written, more than once.
    """

    connection_id: str
    connection_name: str
    job_id: int
    adopted: bool
    rows: int
    bytes: int
    duration: str
    streams: list[StreamStats] = []
    ignored: dict[str, str] = {}
    prefix: str = ""
    deduplicated: list[str] = []
    attempts: int = 1
    started: datetime | None = None


WARNING = "WARN "
"""How a line of a job's log begins that a person should see, such as a column's change of type."""


class JobReport(BaseModel):
    """What only Airbyte's Configuration API tells of a job; empty where that API is not offered (Airbyte Cloud)."""

    reason: str = ""
    streams: list[StreamStats] = []
    warnings: list[str] = []
    ignored: dict[str, str] = {}
    attempts: int = 1


class _Failure(_Wire):
    external_message: str | None = Field(None, alias="externalMessage")
    internal_message: str | None = Field(None, alias="internalMessage")


class _FailureSummary(_Wire):
    failures: list[_Failure] = []


class _Stats(_Wire):
    records_emitted: int | None = Field(None, alias="recordsEmitted")
    records_committed: int | None = Field(None, alias="recordsCommitted")
    records_rejected: int | None = Field(None, alias="recordsRejected")
    bytes_committed: int | None = Field(None, alias="bytesCommitted")
    bytes_emitted: int | None = Field(None, alias="bytesEmitted")


class _AttemptStream(_Wire):
    name: str = Field(alias="streamName")
    stats: _Stats = _Stats()


class _Attempt(_Wire):
    failure_summary: _FailureSummary | None = Field(None, alias="failureSummary")
    streams: list[_AttemptStream] | None = Field(None, alias="streamStats")


class _Logs(_Wire):
    lines: list[str] | None = Field(None, alias="logLines")


class _AttemptInfo(_Wire):
    attempt: _Attempt
    logs: _Logs | None = None


class _IgnoredFile(_Wire):
    key: str
    reason: str


class _JobDetails(_Wire):
    """`ignoredFiles` is the mock's own."""

    attempts: list[_AttemptInfo]
    ignored: list[_IgnoredFile] = Field([], alias="ignoredFiles")


class _Token(_Wire):
    access_token: str
    expires_in: float = 180.0


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


class AirbyteClient:
    """Talks to one Airbyte server. Use it in a `with` block, or call `close()`.

    Args:
        server_url: base URL of the public API, e.g. `http://localhost:8006/api/public/v1`.
        client_id, client_secret: of an Airbyte application; empty where the server takes anonymous calls.
        sleep: how to wait, in seconds.

    Raises:
        ConfigurationError: `server_url` is not a URL.
    """

    def __init__(
        self,
        server_url: str,
        client_id: str = "",
        client_secret: SecretStr = NO_SECRET,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server_url = _checked(server_url)
        self._client_id, self._client_secret = client_id, client_secret
        self._http = httpx.Client(timeout=httpx.Timeout(30.0, connect=5.0))
        self._sleep = sleep
        self._token, self._token_until = "", 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._http.close()

    # -- what the platform asks for ------------------------------------------------------------------

    def connection(self, connection_id: str) -> Connection:
        """Read a connection.

        Raises:
            UnknownConnection, AirbyteUnauthorised, AirbyteUnavailable
        """
        return self._parse(Connection, self._get(f"/connections/{connection_id}", subject=connection_id))

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
        deadline, pause = time.monotonic() + timeout, FIRST_POLL_SECONDS
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
        base, public, _ = self.server_url.rpartition("/api/public/v1")
        if not public:
            return None
        response = self._send(
            "POST", f"{base}/_mock/removals", json={"bucket": bucket, "key": key}, timeout=REMOVAL_SECONDS
        )
        if response.status_code == 401:
            raise self._unauthorised(response)
        try:
            answer = response.json()
        except ValueError:
            return None
        if isinstance(answer, dict) and "notRemoved" in answer:
            raise RemovalFailed(f"The rows of {key} were not removed: {answer['notRemoved']}")
        return answer.get("removed") if isinstance(answer, dict) else None

    def report(self, job_id: int) -> JobReport:
        """Why a job failed, and what each stream moved, where the server offers its Configuration API."""
        base, public, _ = self.server_url.rpartition("/api/public/v1")
        if not public:
            return JobReport()
        try:
            response = self._send("POST", f"{base}/api/v1/jobs/get", json={"id": job_id})
            self._raise_for(response, f"job {job_id}")
            return _report(self._parse(_JobDetails, response))
        except AirbyteError:
            return JobReport()

    # -- how it is said on the wire --------------------------------------------------------------------

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
        pause = FIRST_POLL_SECONDS
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

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send once; on a 401 once more with a new token. 5xx and no answer raise AirbyteUnavailable."""
        url = path if path.startswith("http") else self.server_url + path
        try:
            response = self._http.request(method, url, headers=self._authorization(), **request)
            if response.status_code == 401 and self._client_id:
                self._token_until = 0.0
                response = self._http.request(method, url, headers=self._authorization(), **request)
        except httpx.RequestError as error:
            raise AirbyteUnavailable(
                f"Airbyte does not answer at {self.server_url} ({type(error).__name__}: {error}). Is it running? "
                "`make dev` starts the mock; for another server set AIRBYTE_SERVER_URL."
            ) from error
        if response.status_code >= 500:
            raise AirbyteUnavailable(
                f"Airbyte at {self.server_url} answered {response.status_code} to {method} {path}. "
                "The fault is on its side: look at its log, then run the flow again."
            )
        return response

    def _authorization(self) -> dict[str, str]:
        if not self._client_id:
            return {}
        if time.monotonic() > self._token_until:
            credentials = {"client_id": self._client_id, "client_secret": self._client_secret.get_secret_value()}
            response = self._http.post(f"{self.server_url}/applications/token", json=credentials)
            if response.status_code in (400, 401, 403):
                raise self._unauthorised(response)
            if response.status_code == 404:
                raise AirbyteError(
                    f"{self.server_url}/applications/token is not there (404). Set AIRBYTE_SERVER_URL to the base URL "
                    "of Airbyte's public API: https://HOST/api/public/v1, or https://api.airbyte.com/v1 for the Cloud."
                )
            self._raise_for(response, "the token call")
            token = self._parse(_Token, response)
            self._token = token.access_token
            margin = min(TOKEN_MARGIN_SECONDS, token.expires_in / 2)
            self._token_until = time.monotonic() + token.expires_in - margin
        return {"Authorization": f"Bearer {self._token}"}

    def _unauthorised(self, response: httpx.Response) -> AirbyteUnauthorised:
        hint = "are they of this server?" if self._client_id else "none are set, and this server wants them."
        return AirbyteUnauthorised(
            f"Airbyte at {self.server_url} answered {response.status_code}: it does not accept the credentials. "
            f"Check AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET (or the AirbyteConnection block): {hint}"
        )

    def _raise_for(self, response: httpx.Response, subject: str) -> None:
        if response.is_success:
            return
        if response.status_code == 403 and self._client_id:
            raise AirbyteForbidden(
                f"Airbyte at {self.server_url} answered 403 for {subject}: the credentials are accepted, but their "
                "user has no right to it. Give the application's user the role Runner in the connection's workspace, "
                "and check that AIRBYTE_CONNECTION_ID belongs to that workspace."
            )
        if response.status_code in (401, 403):
            raise self._unauthorised(response)
        if response.status_code == 404:
            raise UnknownConnection(
                f"Airbyte at {self.server_url} does not know {subject}. Is AIRBYTE_SERVER_URL the base URL of its "
                f"public API, and AIRBYTE_CONNECTION_ID one of the connections listed at {self.server_url}/connections?"
            )
        if response.status_code in (409, 429) or response.status_code >= 500:
            raise AirbyteUnavailable(
                f"Airbyte at {self.server_url} keeps answering {response.status_code} for {subject}: "
                f"{_detail(response)}. Wait for what is running there to end, then run the flow again."
            )
        raise AirbyteError(
            f"Airbyte at {self.server_url} answered {response.status_code} for {subject}: {_detail(response)}. "
            "Is AIRBYTE_SERVER_URL the base URL of its public API, with the right scheme and port?"
        )

    def _raise_if_inactive(self, connection_id: str) -> None:
        connection = self.connection(connection_id)
        if connection.status != "active":
            raise ConnectionInactive(
                f"Airbyte's connection {connection.name!r} ({connection_id}) is {connection.status}. "
                "Switch it on in Airbyte, or choose another connection."
            )

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise AirbyteUnavailable(
                f"{self.server_url} answered something that is not Airbyte's JSON "
                f"({response.headers.get('content-type')}). Is AIRBYTE_SERVER_URL the base URL of the API?"
            )
        return body

    def _parse(self, model: type[Model], answer: httpx.Response | dict[str, Any]) -> Model:
        body = answer if isinstance(answer, dict) else self._json(answer)
        try:
            return model.model_validate(body)
        except ValidationError as error:
            name, missing = model.__name__.strip("_").lower(), error.errors()[0]["loc"]
            raise AirbyteUnavailable(
                f"{self.server_url} answered a {name} without the fields that Airbyte's API has: {missing}. "
                "Is AIRBYTE_SERVER_URL the base URL of the public API?"
            ) from error


def _with_rows(job: Job, failure: Failure) -> Failure:
    failure.rows = job.rows_synced
    return failure


def _report(details: _JobDetails) -> JobReport:
    infos = details.attempts
    attempts = [each.attempt for each in infos]
    lines = [line for each in infos if each.logs for line in each.logs.lines or []]
    summaries = [each.failure_summary for each in attempts[-1:] if each.failure_summary]
    failures = [failure for summary in summaries for failure in summary.failures]
    messages = dict.fromkeys(each.external_message or each.internal_message for each in failures)
    streams: dict[str, StreamStats] = {}
    for stream in (stream for each in attempts for stream in each.streams or []):
        moved = streams.setdefault(stream.name, StreamStats(name=stream.name, rows=0, bytes=0))
        moved.rows += stream.stats.records_committed or 0
        committed, rejected = stream.stats.records_committed or 0, stream.stats.records_rejected or 0
        moved.read += committed + rejected if stream.stats.records_emitted is None else stream.stats.records_emitted
        moved.rejected += stream.stats.records_rejected or 0
        moved.bytes += stream.stats.bytes_committed or stream.stats.bytes_emitted or 0
    return JobReport(
        reason="; ".join(filter(None, messages)),
        streams=list(streams.values()),
        warnings=[line.removeprefix(WARNING) for line in dict.fromkeys(lines) if line.startswith(WARNING)],
        ignored={each.key: each.reason for each in details.ignored},
        attempts=len(infos),
    )


def _checked(server_url: str) -> str:
    """The URL without a slash at its end."""
    try:
        url = httpx.URL(server_url)
        known = url.scheme in ("http", "https") and url.host
    except httpx.InvalidURL:
        known = False
    if not known:
        raise ConfigurationError(
            f"AIRBYTE_SERVER_URL is {server_url!r}, which is not a URL. Set it to the base URL of Airbyte's public "
            "API, such as http://localhost:8006/api/public/v1."
        )
    return server_url.rstrip("/")


def _detail(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:200]
    data = body.get("data") if isinstance(body, dict) else None
    message = data.get("message") if isinstance(data, dict) else None
    return str(message or (body.get("detail") or body.get("message") if isinstance(body, dict) else body))[:500]


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)

"""A running platform, with or without containers, as tests and scenarios use it."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import httpx
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
Found = TypeVar("Found")
PASSING = (httpx.HTTPError, duckdb.Error, BotoCoreError, ClientError)
"""Errors that are raised while a service is down."""


BUSY_SECONDS = 60.0


def unless_busy(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Return the answer to a request. Repeat the request while Prefect answers 503, because its database is busy.

    Raises:
        httpx.HTTPError: there is no answer, or its status is an error.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while (answer := ask()).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer.raise_for_status()


class PlatformFailed(Exception):
    """The platform did not do what was expected. The message has the end of its logs."""


class Running(ABC):
    """A running platform, whichever engine runs it.

    Attributes:
        bucket: landing bucket.
        prefix: prefix of the landed files' keys.
        lake: folder of raw's Parquet files, as `raw` queries see it.
    """

    bucket: str
    prefix: str
    lake: str

    # -- the services: localstack, airbyte, prefect-server, worker, sensor ------------------------------

    @abstractmethod
    def start(self) -> None:
        """Start the services that are down, and wait until all are ready."""

    @abstractmethod
    def kill(self, *services: str) -> None:
        """Kill services, as a power cut would."""

    @abstractmethod
    def pause(self, *services: str) -> None:
        """Freeze services: they keep their connections and do not answer."""

    @abstractmethod
    def resume(self, *services: str) -> None:
        """Resume paused services."""

    @abstractmethod
    def register(self) -> None:
        """Register the deployments of prefect.yaml, as each start of the platform does."""

    @abstractmethod
    def logs(self, *services: str, lines: int = 50) -> str:
        """Return the newest lines of the services' logs, or of all logs if no service is named."""

    # -- its systems ------------------------------------------------------------------------------------

    @abstractmethod
    def s3(self) -> "S3Client":
        """Return a client for the landing bucket's S3."""

    @abstractmethod
    def prefect(self, method: str, path: str, body: object = None) -> Any:
        """Call Prefect's API, and return the answer from JSON, e.g. `prefect("POST", "flow_runs/filter", {})`."""

    @abstractmethod
    def airbyte(self, path: str, **parameters: Any) -> Any:
        """Send a GET request to the mock Airbyte's public API, and return its answer."""

    @property
    @abstractmethod
    def airbyte_url(self) -> str:
        """Base URL of the mock Airbyte's public API."""

    # -- its data ---------------------------------------------------------------------------------------

    @abstractmethod
    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Query the published tables."""

    @abstractmethod
    def built(self, query: str) -> list[tuple[Any, ...]]:
        """Query the tables that dbt has built. Dates and times are returned as text."""

    @abstractmethod
    def raw(self, query: str) -> list[tuple[Any, ...]]:
        """Query with a DuckDB that can read the lake. Dates and times are returned as text."""

    @abstractmethod
    def messages(self) -> list[dict[str, Any]]:
        """Return the alerts that the local receiver got, oldest first."""

    # -- helpers built on these -------------------------------------------------------------------------

    @property
    def faults_url(self) -> str:
        """Address for creating faults in the mock Airbyte."""
        return f"{self.airbyte_url.removesuffix('/api/public/v1')}/_mock/faults"

    def flow_runs(self, deployment: str | None = None) -> list[dict[str, Any]]:
        """Return the flow runs of a deployment (`flow/deployment`), or all without subflow runs, newest first."""
        body: dict[str, Any] = {"sort": "EXPECTED_START_TIME_DESC", "limit": 100}
        body["flow_runs"] = {"parent_task_run_id": {"is_null_": True}}
        if deployment:
            flow, _, name = deployment.partition("/")
            body |= {"flows": {"name": {"any_": [flow]}}, "deployments": {"name": {"any_": [name]}}}
        runs: list[dict[str, Any]] = self.prefect("POST", "flow_runs/filter", body)
        return runs

    def start_run(self, deployment: str, parameters: Mapping[str, Any] | None = None) -> str:
        """Create a run of a deployment (`flow/deployment`), and return its id."""
        found = self.prefect("GET", f"deployments/name/{deployment}")
        run = self.prefect("POST", f"deployments/{found['id']}/create_flow_run", {"parameters": dict(parameters or {})})
        return str(run["id"])

    def end_of_run(self, run_id: str, seconds: float = 180) -> dict[str, Any]:
        """Wait for a flow run to end, and return it with its `state`.

        Raises:
            PlatformFailed: it did not end in time.
        """
        return self.eventually(lambda: self._ended(run_id), f"the end of flow run {run_id}", seconds)

    def run(self, deployment: str, parameters: Mapping[str, Any] | None = None, seconds: float = 180) -> dict[str, Any]:
        """Run a deployment (`flow/deployment`), wait for its end, and return the flow run with its `state`."""
        return self.end_of_run(self.start_run(deployment, parameters), seconds)

    def eventually(self, look: Callable[[], Found | None], what: str, seconds: float = 180) -> Found:
        """Call `look` twice a second until it returns something. Ignore services that do not answer.

        After a slow call, the pause is longer, so that looking does not delay the platform.

        Raises:
            PlatformFailed: `look` returned nothing in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            begun = time.monotonic()
            try:
                if (found := look()) is not None:
                    return found
                trouble = ""
            except (*PASSING, PlatformFailed) as error:
                trouble = f" ({error})"
            if time.monotonic() > deadline:
                raise PlatformFailed(f"Waited {seconds:g} s for {what}, without success{trouble}.\n{self.logs()}")
            time.sleep(min(10.0, max(0.5, 2 * (time.monotonic() - begun))))

    def _ended(self, run_id: str) -> dict[str, Any] | None:
        run: dict[str, Any] = self.prefect("GET", f"flow_runs/{run_id}")
        return run if run["state_type"] in ENDED else None

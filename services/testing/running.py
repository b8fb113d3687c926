"""A platform at work, as tests and scenarios drive it, in containers or without."""

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
"""What is raised while a service is away."""


BUSY_SECONDS = 60.0


def unless_busy(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer to a request, which is repeated while Prefect's database is busy: it then answers 503.

    Raises:
        httpx.HTTPError: there is no answer, or one of failure.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while (answer := ask()).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer.raise_for_status()


class PlatformFailed(Exception):
    """The platform did not do what was waited for; the text holds the end of its logs."""


class Running(ABC):
    """What can be done to a running platform, and asked of it, whichever engine runs it.

    Attributes:
        bucket: landing bucket.
        prefix: where files land in it.
        lake: folder of the raw Parquet files, as `raw` reads it.
    """

    bucket: str
    prefix: str
    lake: str

    # -- the services: localstack, airbyte, prefect-server, worker, sensor ------------------------------

    @abstractmethod
    def start(self) -> None:
        """Start what does not run, and wait until all is ready for work."""

    @abstractmethod
    def kill(self, *services: str) -> None:
        """End services as a power cut would."""

    @abstractmethod
    def pause(self, *services: str) -> None:
        """Freeze services: they keep their connections and answer nothing."""

    @abstractmethod
    def resume(self, *services: str) -> None:
        """Let paused services go on."""

    @abstractmethod
    def register(self) -> None:
        """Register the deployments of prefect.yaml, as each start of the platform does."""

    @abstractmethod
    def logs(self, *services: str, lines: int = 50) -> str:
        """The newest lines of the services' logs; of all without a name."""

    # -- its systems ------------------------------------------------------------------------------------

    @abstractmethod
    def s3(self) -> "S3Client":
        """A client of the landing bucket's S3."""

    @abstractmethod
    def prefect(self, method: str, path: str, body: object = None) -> Any:
        """Prefect's answer, from JSON, to a call of its API, e.g. `prefect("POST", "flow_runs/filter", {})`."""

    @abstractmethod
    def airbyte(self, path: str, **parameters: Any) -> Any:
        """The mock Airbyte's answer to a GET of its public API."""

    @property
    @abstractmethod
    def airbyte_url(self) -> str:
        """Base URL of the mock Airbyte's public API."""

    # -- what it holds ----------------------------------------------------------------------------------

    @abstractmethod
    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer of the tables that readers see to a query."""

    @abstractmethod
    def built(self, query: str) -> list[tuple[Any, ...]]:
        """The answer of the tables that dbt has built to a query, dates and times as text."""

    @abstractmethod
    def raw(self, query: str) -> list[tuple[Any, ...]]:
        """The answer of a DuckDB that can read the lake to a query, dates and times as text."""

    @abstractmethod
    def messages(self) -> list[dict[str, Any]]:
        """The alerts that the local receiver has taken, oldest first."""

    # -- what follows from these ------------------------------------------------------------------------

    @property
    def faults_url(self) -> str:
        """Where the mock Airbyte is asked for faults."""
        return f"{self.airbyte_url.removesuffix('/api/public/v1')}/_mock/faults"

    def flow_runs(self, deployment: str | None = None) -> list[dict[str, Any]]:
        """The flow runs, newest first: of one deployment (`flow/deployment`), or all but subflows."""
        body: dict[str, Any] = {"sort": "EXPECTED_START_TIME_DESC", "limit": 100}
        body["flow_runs"] = {"parent_task_run_id": {"is_null_": True}}
        if deployment:
            flow, _, name = deployment.partition("/")
            body |= {"flows": {"name": {"any_": [flow]}}, "deployments": {"name": {"any_": [name]}}}
        runs: list[dict[str, Any]] = self.prefect("POST", "flow_runs/filter", body)
        return runs

    def start_run(self, deployment: str, parameters: Mapping[str, Any] | None = None) -> str:
        """Ask for a run of a deployment (`flow/deployment`); its id."""
        found = self.prefect("GET", f"deployments/name/{deployment}")
        run = self.prefect("POST", f"deployments/{found['id']}/create_flow_run", {"parameters": dict(parameters or {})})
        return str(run["id"])

    def end_of_run(self, run_id: str, seconds: float = 180) -> dict[str, Any]:
        """Wait for the end of a flow run; the run with its `state`.

        Raises:
            PlatformFailed: it has not ended in time.
        """
        return self.eventually(lambda: self._ended(run_id), f"the end of flow run {run_id}", seconds)

    def run(self, deployment: str, parameters: Mapping[str, Any] | None = None, seconds: float = 180) -> dict[str, Any]:
        """Run a deployment (`flow/deployment`) to its end; the flow run with its `state`."""
        return self.end_of_run(self.start_run(deployment, parameters), seconds)

    def eventually(self, look: Callable[[], Found | None], what: str, seconds: float = 180) -> Found:
        """Look twice a second until something is found; services that do not answer meanwhile are borne.

        A look that takes long is followed by a longer pause, so that looking does not delay what is looked for.

        Raises:
            PlatformFailed: nothing was found in time.
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
                raise PlatformFailed(f"Waited {seconds:g} s for {what} in vain{trouble}.\n{self.logs()}")
            time.sleep(min(10.0, max(0.5, 2 * (time.monotonic() - begun))))

    def _ended(self, run_id: str) -> dict[str, Any] | None:
        run: dict[str, Any] = self.prefect("GET", f"flow_runs/{run_id}")
        return run if run["state_type"] in ENDED else None

"""Client for Prefect's server that reads complete lists and reports why the server does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import PrefectException

from blocks.errors import PlatformError
from blocks.landing import http_date

TEMPORARY = (408, 425, 429)
"""Error statuses that ask for a retry."""
MOST_REASON = 500
"""Maximum characters of an error's text."""


class PrefectUnavailable(PlatformError):
    """Prefect's server does not answer or reports an error, or something other than Prefect answers."""


class PrefectRefuses(PrefectUnavailable):
    """Prefect's server, or a proxy in front of it, rejects a request, and would reject it again."""


class Server:
    """Prefect's server. `now` is the time of its last answer by its own clock, which may differ from this machine's."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.client: SyncPrefectClient = get_client(
            sync_client=True, httpx_settings={"event_hooks": {"response": [self._answered]}}
        )

    def _answered(self, answer: httpx.Response) -> None:
        self.now = http_date(answer.headers.get("Date"))

    def deployments(self, flow: str, name: str | None = None) -> Iterator[DeploymentResponse]:
        """Yield all deployments of a flow, or only those with a name."""
        of_flow = FlowFilter(name=FlowFilterName(any_=[flow]))
        named = DeploymentFilter(name=DeploymentFilterName(any_=[name])) if name else None
        seen: dict[UUID, DeploymentResponse] = {}
        while True:
            page = self.client.read_deployments(flow_filter=of_flow, deployment_filter=named, offset=len(seen))
            new = {each.id: each for each in page if each.id not in seen}
            yield from new.values()
            seen |= new
            if not new:
                return

    def runs(self, wanted: FlowRunFilter) -> Iterator[FlowRun]:
        """Yield all runs that match. A run that ends between two pages does not make others disappear."""
        given = wanted.id.any_ if wanted.id else None
        seen: dict[UUID, FlowRun] = {}
        while True:
            chosen = FlowRunFilterId(any_=given, not_any_=list(seen) or None)
            rest = wanted.model_copy(update={"id": chosen}) if given or seen else wanted
            page = self.client.read_flow_runs(flow_run_filter=rest)
            new = {run.id: run for run in page if run.id not in seen}
            yield from new.values()
            seen |= new
            if not new or (given and len(seen) >= len(given)):
                return


@contextmanager
def client() -> Iterator[Server]:
    with _errors():
        server = Server()
        with server.client:
            yield server


NOT_PREFECT = (httpx.HTTPError, httpx.InvalidURL, PrefectException, RuntimeError, ValueError, TypeError, LookupError)
"""What Prefect's client raises if the server does not answer, or if something other than Prefect answers."""


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except NOT_PREFECT as error:
        status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
        kind = PrefectRefuses if 400 <= status < 500 and status not in TEMPORARY else PrefectUnavailable
        raise kind(
            f"Prefect's server cannot be used: {_why(error)}. Check PREFECT_API_URL. `make dev` starts a local server."
        ) from error


def _why(error: Exception) -> str:
    """Return the error's text. If the answer is not Prefect's, it is short: the client's text would fill a page."""
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL | PrefectException | RuntimeError):
        return str(error)[:MOST_REASON] or type(error).__name__
    return f"the answer is not from Prefect ({type(error).__name__}: {str(error)[:100]})"

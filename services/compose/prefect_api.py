"""Prefect's API as the verbs use it: runs are started, found and followed."""

import json
import ssl
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from uuid import uuid4

from blocks.names import Names, main_deployment, ui
from services.compose.engine import Compose
from services.compose.profile import ComposeError, Profile
from services.compose.secrets import secret
from services.compose.values import OF_THE_HOST

ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
PAGE = 200
BUSY_SECONDS = 30.0
MOST_SAID = 500
"""Characters of an answer that an error repeats."""
PATIENCE_SECONDS = 60.0
"""For how long a server that is followed may be silent: its container may just be started anew."""
LAST_LINE, LAST_LINES_SECONDS = "Finished in state", 5.0


def prefect_of(compose: Compose) -> "Prefect":
    """The Prefect server that a platform's profile leads to.

    Raises:
        ComposeError: it is one of the platform's own services, and does not run.
    """
    profile = compose.profile
    here = "prefect" in profile.services
    url = f"http://{compose.running('prefect-server', 4200)}/api" if here else profile.values["PREFECT_API_URL"]
    return Prefect(url, authorization(profile), profile.names, profile.make("ps"), profile.values.get("CA_FILE", ""))


def authorization(profile: Profile) -> dict[str, str]:
    """The header that the profile's Prefect server asks for; none where it asks for none."""
    if key := secret(profile, "PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    user = secret(profile, "PREFECT_API_AUTH_STRING")
    return {"Authorization": f"Basic {b64encode(user.encode()).decode()}"} if user else {}


class _Connection(HTTPConnection):
    """A connection that finds this machine by the name that containers have for it."""

    def connect(self) -> None:
        own = self.host
        if own == OF_THE_HOST:
            self.host = "127.0.0.1"
        try:
            super().connect()
        finally:
            self.host = own


class _TlsConnection(HTTPSConnection, _Connection):
    """The same with TLS: the certificate is checked for the name that was asked for."""


class _OnThisMachine(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Connection, request)


class _TlsOnThisMachine(urllib.request.HTTPSHandler):
    def __init__(self, ca: str) -> None:
        self.context = ssl.create_default_context()
        if ca:
            self.context.load_verify_locations(ca)
        super().__init__(context=self.context)

    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_TlsConnection, request, context=self.context)


class Silent(ComposeError):
    """Prefect's server does not answer."""


class Unavailable(Silent):
    """Prefect's server, or a proxy before it, answers that it cannot serve for the moment."""


class Prefect:
    """A Prefect server by the URL of its API, e.g. http://127.0.0.1:4200/api.

    Args:
        api: the URL.
        headers: what the server asks for, as `authorization` gives it.
        names: those of the platform's things there.
        ps: the command that shows its state.
        ca: file of certificates to trust beside the system's.
    """

    def __init__(
        self,
        api: str,
        headers: Mapping[str, str] | None = None,
        names: Names | None = None,
        ps: str = "make ps",
        ca: str = "",
    ) -> None:
        self.api, self.url, self.names = api, ui(api), names or Names()
        self._ps = ps
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        # No proxy for a server that is on this machine.
        here = urlsplit(api).hostname in ("127.0.0.1", OF_THE_HOST)
        handlers = [*([urllib.request.ProxyHandler({})] if here else []), _OnThisMachine(), _TlsOnThisMachine(ca)]
        self._open = urllib.request.build_opener(*handlers).open

    def ask(self, path: str, body: dict[str, Any] | None = None, patience: float = 0.0) -> Any:
        """POST a body, or GET without one; again, for `patience` seconds, where the server does not answer.

        A server that answers with 429 or 5xx is asked for BUSY_SECONDS at least.

        Raises:
            ComposeError: the server does not answer, or refuses.
        """
        begun = time.monotonic()
        while True:
            try:
                return self._ask(path, body)
            except Silent as error:
                longest = max(patience, BUSY_SECONDS if isinstance(error, Unavailable) else 0)
                if time.monotonic() - begun >= longest:
                    raise
            time.sleep(1)

    def _ask(self, path: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.api}/{path}", data, self._headers)  # noqa: S310
        try:
            with self._open(request, timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            said = error.read().decode(errors="replace")[:MOST_SAID]
            if error.code == 429 or error.code >= 500:  # as a server answers whose database is away for a moment
                raise Unavailable(
                    f"Prefect at {self.api} is not available: it keeps answering {error.code} to {path}. {said} Look "
                    "at its log, or at the proxy's before it, then run this again."
                ) from error
            if error.code in (401, 403):
                raise ComposeError(
                    f"Prefect at {self.api} does not accept the credentials ({error.code}). Check the secrets "
                    "PREFECT_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud."
                ) from error
            raise ComposeError(f"Prefect at {self.api} refuses {path} with {error.code}: {said}") from error
        except (URLError, OSError) as error:
            raise Silent(f"Prefect does not answer on {self.url}: {error}. `{self._ps}` shows its state.") from error

    def start(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Start a deployment by its name; a flow's name is that of its main deployment.

        Raises:
            ComposeError: there is no such deployment, or it has no such parameter; it names those that there are.
        """
        deployments = {each["name"]: each for each in self.pages("deployments/filter", self._ours())}
        wanted = main_deployment(name.rsplit("/", 1)[-1])
        deployment = deployments.get(self.names.name(wanted)) or deployments.get(wanted)
        if deployment is None:
            raise ComposeError(f"There is no deployment {wanted!r}. Those that there are: {', '.join(deployments)}.")
        known = deployment["parameter_openapi_schema"].get("properties", {})
        # Prefect itself checks values alone: a run with a name that its flow does not have would crash.
        if unknown := [repr(each) for each in parameters if each not in known]:
            has = f"Those that it has: {', '.join(known)}." if known else "It has none."
            raise ComposeError(f"{wanted} has no parameter {', '.join(unknown)}. {has}")
        path = f"deployments/{deployment['id']}/create_flow_run"
        # The key makes a repeated call the same run: a proxy may answer 503 to a call that has arrived.
        body = {"parameters": {**deployment["parameters"], **parameters}, "idempotency_key": str(uuid4())}
        run: dict[str, Any] = self.ask(path, body)
        return run

    def _ours(self) -> dict[str, Any]:
        """What finds the platform's deployments alone on a server that others use; on its own, all of them are."""
        return {"deployments": {"tags": {"all_": [self.names.tag]}}} if self.names.namespace else {}

    def pages(self, path: str, body: dict[str, Any], patience: float = 0.0) -> Iterator[dict[str, Any]]:
        """All that a filter finds, page by page."""
        offset = 0
        while page := self.ask(path, {**body, "limit": PAGE, "offset": offset}, patience):
            yield from page
            offset += PAGE

    def pipelines(self) -> list[dict[str, Any]]:
        """The newest runs of the pipeline, planned ones apart; newest first."""
        body = {
            "flows": {"name": {"any_": ["full_pipeline"]}},
            **self._ours(),
            "flow_runs": {"state": {"name": {"not_any_": ["Scheduled"]}}},
            "sort": "START_TIME_DESC",
            "limit": 20,
        }
        runs: list[dict[str, Any]] = self.ask("flow_runs/filter", body, PATIENCE_SECONDS)
        return runs

    def follow(self, run: dict[str, Any], say: Callable[[str], None], seconds: float) -> int:
        """Show a run's log, and its subflows', until it ends; 0 where it completed.

        Raises:
            ComposeError: it has not ended within `seconds`.
        """
        try:
            return self._follow(run, say, seconds)
        except KeyboardInterrupt:
            say(f"\n{run['name']} goes on: {self.url}/runs/flow-run/{run['id']}")
            raise

    def _follow(self, run: dict[str, Any], say: Callable[[str], None], seconds: float) -> int:
        deadline, told = time.monotonic() + seconds, set[str]()
        while time.monotonic() < deadline:
            now = self.ask(f"flow_runs/{run['id']}", patience=PATIENCE_SECONDS)
            self._tell(run["id"], told, say)
            if now["state_type"] in ENDED:
                self._tell_the_rest(run["id"], told, say)
                say(printable(f"{now['name']}: {now['state_name']} {now['state'].get('message') or ''}".strip()))
                say(f"{self.url}/runs/flow-run/{run['id']}")
                return 0 if now["state_type"] == "COMPLETED" else 1
            time.sleep(0.5)
        raise ComposeError(f"{run['name']} has not ended within {seconds:.0f} s: {self.url}/runs/flow-run/{run['id']}")

    def _tell_the_rest(self, run_id: str, told: set[str], say: Callable[[str], None]) -> None:
        """A run sends its last lines after its last state; it ends with one that says so, unless it was killed."""
        deadline, complete = time.monotonic() + LAST_LINES_SECONDS, False
        while not complete and time.monotonic() < deadline:
            new = self._tell(run_id, told, say)
            complete = any(_is_last(line, run_id) for line in new)
            time.sleep(0 if new else 0.5)
        while self._tell(run_id, told, say):
            pass

    def _tell(self, run_id: str, told: set[str], say: Callable[[str], None]) -> list[dict[str, Any]]:
        """Show the new lines of a page that begins a little before the last told: a late line may be an older one."""
        body = {
            "logs": {"flow_run_id": {"any_": [run_id, *self._subflows(run_id)]}},
            "sort": "TIMESTAMP_ASC",
            "offset": max(0, len(told) - PAGE // 2),
            "limit": PAGE,
        }
        new = [line for line in self.ask("logs/filter", body, PATIENCE_SECONDS) if line["id"] not in told]
        for line in new:
            told.add(line["id"])
            say(printable(f"{line['timestamp'][11:19]} {line['message']}"))
        return new

    def _subflows(self, run_id: str) -> list[str]:
        body = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}
        return [each["id"] for each in self.pages("flow_runs/filter", body, PATIENCE_SECONDS)]


def printable(text: str) -> str:
    """Escape what could command the terminal; lines stay."""
    return "".join(sign if sign == "\n" or sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _is_last(line: dict[str, Any], run_id: str) -> bool:
    return bool(line["flow_run_id"] == run_id and not line["task_run_id"] and line["message"].startswith(LAST_LINE))

"""Start, find and follow runs with Prefect's API, without packages."""

import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from uuid import uuid4

from blocks.names import Names, main_deployment, ui
from commands.compose.values import HOST_GATEWAY
from commands.errors import CommandError

ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
PAGE = 200
BUSY_SECONDS = 30.0
MAX_ERROR_CHARS = 500
"""How many characters of the server's answer an error quotes."""
PATIENCE_SECONDS = 60.0
"""How long the server may not answer while a run is followed: its container may be restarting."""
LAST_LINE, LAST_LINES_SECONDS = "Finished in state", 5.0


class _Connection(HTTPConnection):
    """A connection that resolves `host.docker.internal`, the name of this machine in containers, to 127.0.0.1."""

    def connect(self) -> None:
        own = self.host
        if own == HOST_GATEWAY:
            self.host = "127.0.0.1"
        try:
            super().connect()
        finally:
            self.host = own


class _TlsConnection(HTTPSConnection, _Connection):
    """The same with TLS. The certificate is checked for the original host name."""


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


class NotAnswering(CommandError):
    """Prefect's server does not answer."""


class Unavailable(NotAnswering):
    """Prefect's server, or a proxy in front of it, answers that it is temporarily unavailable."""


class Prefect:
    """A client for a Prefect server.

    Args:
        api: URL of its API, e.g. http://127.0.0.1:4200/api.
        headers: from `authorization`.
        names: the names that the platform uses on the server.
        ps: the command that shows the server's state, for errors.
        ca: file of certificates to trust in addition to the system's.
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
        # Do not use a proxy for a server on this machine.
        here = urlsplit(api).hostname in ("127.0.0.1", HOST_GATEWAY)
        handlers = [*([urllib.request.ProxyHandler({})] if here else []), _OnThisMachine(), _TlsOnThisMachine(ca)]
        self._open = urllib.request.build_opener(*handlers).open

    def ask(self, path: str, body: dict[str, Any] | None = None, patience: float = 0.0) -> Any:
        """POST a body, or GET without one. If the server does not answer, retry for `patience` seconds.

        If the server answers with 429 or 5xx, retry for at least BUSY_SECONDS.

        Raises:
            CommandError: the server does not answer, or rejects the request.
        """
        begun = time.monotonic()
        while True:
            try:
                return self._ask(path, body)
            except NotAnswering as error:
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
            said = error.read().decode(errors="replace")[:MAX_ERROR_CHARS]
            if error.code == 429 or error.code >= 500:  # the server answers so while its database is restarting
                raise Unavailable(
                    f"Prefect at {self.api} is not available: it keeps answering {error.code} to {path}. {said} Check "
                    "its log, and that of any proxy in front of it, then run this again."
                ) from error
            if error.code in (401, 403):
                raise CommandError(
                    f"Prefect at {self.api} does not accept the credentials ({error.code}). Check the secrets "
                    "PREFECT_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud."
                ) from error
            raise CommandError(f"Prefect at {self.api} rejects {path} with {error.code}: {said}") from error
        except (URLError, OSError) as error:
            raise NotAnswering(
                f"Prefect does not answer on {self.url}: {error}. `{self._ps}` shows its state."
            ) from error

    def start(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Start a run of a deployment; the name of a flow means its main deployment.

        Raises:
            CommandError: the deployment or a parameter does not exist; it lists those that do.
        """
        deployments = {each["name"]: each for each in self.pages("deployments/filter", self._ours())}
        wanted = main_deployment(name.rsplit("/", 1)[-1])
        deployment = deployments.get(self.names.name(wanted)) or deployments.get(wanted)
        if deployment is None:
            raise CommandError(f"There is no deployment {wanted!r}. Available deployments: {', '.join(deployments)}.")
        known = deployment["parameter_openapi_schema"].get("properties", {})
        # Prefect checks only the values. A run with a parameter that its flow does not have would crash.
        if unknown := [repr(each) for each in parameters if each not in known]:
            has = f"Its parameters: {', '.join(known)}." if known else "It has no parameters."
            raise CommandError(f"{wanted} has no parameter {', '.join(unknown)}. {has}")
        path = f"deployments/{deployment['id']}/create_flow_run"
        # With the key, a retried call does not start a second run: a proxy may answer 503 after the call arrived.
        body = {"parameters": {**deployment["parameters"], **parameters}, "idempotency_key": str(uuid4())}
        run: dict[str, Any] = self.ask(path, body)
        return run

    def _ours(self) -> dict[str, Any]:
        """Return the filter for the platform's deployments; {} on its own server, where all of them are."""
        return {"deployments": {"tags": {"all_": [self.names.tag]}}} if self.names.namespace else {}

    def pages(self, path: str, body: dict[str, Any], patience: float = 0.0) -> Iterator[dict[str, Any]]:
        """Yield everything that a filter finds, page by page."""
        offset = 0
        while page := self.ask(path, {**body, "limit": PAGE, "offset": offset}, patience):
            yield from page
            offset += PAGE

    def pipelines(self) -> list[dict[str, Any]]:
        """Return up to 20 runs of the pipeline, newest first, without those scheduled for later."""
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
        """Show the log of a run and its subflows until the run ends. Return 0 if it completed.

        Raises:
            CommandError: the run has not ended within `seconds`.
        """
        try:
            return self._follow(run, say, seconds)
        except KeyboardInterrupt:
            say(f"\n{run['name']} continues: {self.url}/runs/flow-run/{run['id']}")
            raise

    def _follow(self, run: dict[str, Any], say: Callable[[str], None], seconds: float) -> int:
        deadline, shown = time.monotonic() + seconds, set[str]()
        while time.monotonic() < deadline:
            now = self.ask(f"flow_runs/{run['id']}", patience=PATIENCE_SECONDS)
            self._show_new_lines(run["id"], shown, say)
            if now["state_type"] in ENDED:
                self._show_last_lines(run["id"], shown, say)
                say(printable(f"{now['name']}: {now['state_name']} {now['state'].get('message') or ''}".strip()))
                say(f"{self.url}/runs/flow-run/{run['id']}")
                return 0 if now["state_type"] == "COMPLETED" else 1
            time.sleep(0.5)
        raise CommandError(f"{run['name']} has not ended within {seconds:.0f} s: {self.url}/runs/flow-run/{run['id']}")

    def _show_last_lines(self, run_id: str, shown: set[str], say: Callable[[str], None]) -> None:
        """Show the lines that arrive after the final state. The last one is LAST_LINE, unless the run was killed."""
        deadline, complete = time.monotonic() + LAST_LINES_SECONDS, False
        while not complete and time.monotonic() < deadline:
            new = self._show_new_lines(run_id, shown, say)
            complete = any(_is_last(line, run_id) for line in new)
            time.sleep(0 if new else 0.5)
        while self._show_new_lines(run_id, shown, say):
            pass

    def _show_new_lines(self, run_id: str, shown: set[str], say: Callable[[str], None]) -> list[dict[str, Any]]:
        """Show new lines and return them. Read from half a page back, because lines can arrive out of order."""
        body = {
            "logs": {"flow_run_id": {"any_": [run_id, *self._subflows(run_id)]}},
            "sort": "TIMESTAMP_ASC",
            "offset": max(0, len(shown) - PAGE // 2),
            "limit": PAGE,
        }
        new = [line for line in self.ask("logs/filter", body, PATIENCE_SECONDS) if line["id"] not in shown]
        for line in new:
            shown.add(line["id"])
            say(printable(f"{line['timestamp'][11:19]} {line['message']}"))
        return new

    def _subflows(self, run_id: str) -> list[str]:
        body = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}
        return [each["id"] for each in self.pages("flow_runs/filter", body, PATIENCE_SECONDS)]


def printable(text: str) -> str:
    """Escape control characters, except line ends, so that a log cannot control the terminal."""
    return "".join(sign if sign == "\n" or sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _is_last(line: dict[str, Any], run_id: str) -> bool:
    return bool(line["flow_run_id"] == run_id and not line["task_run_id"] and line["message"].startswith(LAST_LINE))

"""A small client for Prefect's REST API. Prefect's own client would take 100 MB of memory and 3 s to import."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from blocks.errors import PlatformError
from blocks.names import is_own, ui
from blocks.settings import PrefectServer

SECONDS = 15.0
PAGE = 200
HISTORY = 20
"""How many artifacts of a key to read."""
READY = "/ready"
"""Unlike /health, this also checks the server's database. Prefect Cloud answers 404, which also shows that it is up."""
EVENTS = "/events"
Json = dict[str, Any]


class NoAnswer(PlatformError):
    """Prefect's server does not answer, or what answers is not Prefect."""


class Prefect:
    """A client for the server at PREFECT_API_URL."""

    def __init__(self, server: PrefectServer, client: httpx.Client | None = None, seconds: float = SECONDS) -> None:
        self.server = server
        self._silent = False
        """Whether the server did not answer. Until the next `check`, all requests then fail at once."""
        self._client = client or httpx.Client(timeout=seconds, headers=_authorization(server))
        self._flows: dict[str, str] = {}
        self._artifacts: dict[str, tuple[str, list[Json]]] = {}
        """By key: when the newest artifact was updated, and the newest artifacts. The id of `latest` never changes."""

    def check(self) -> None:
        """Check whether the server and its database answer.

        Raises:
            NoAnswer: they do not. Until the next check, `ask` then fails at once.
        """
        self._silent = False
        try:
            self.ask("GET", READY)
        except NoAnswer:
            self._silent = True
            raise

    def flow_name(self, id_: str) -> str:
        """Return a flow's name by its id. Names never change, so they are cached.

        Raises:
            NoAnswer: the server does not answer.
        """
        if id_ not in self._flows:
            found = self.ask("GET", f"/flows/{id_}")
            self._flows[id_] = found["name"] if found else id_
        return self._flows[id_]

    def require_answer(self) -> None:
        """Check that the server answered the last request.

        Raises:
            NoAnswer: it did not.
        """
        if self._silent:
            raise NoAnswer("Prefect's server did not answer a moment ago.")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON; None for 404 and for no content.

        Raises:
            NoAnswer: the server does not answer, or rejects the request.
        """
        if path != EVENTS:  # send the watch's heartbeat even if another request has timed out
            self.require_answer()
        try:
            answer = self._client.request(method, self.server.api_url.rstrip("/") + path, json=body)
            if answer.status_code == 404:
                return None
            if answer.is_success:
                return answer.json() if answer.content else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._silent = True
            raise NoAnswer(f"Prefect's server does not answer ({type(error).__name__}).") from None
        raise NoAnswer(f"Prefect's server answers with status {answer.status_code}.")

    def all(self, path: str, body: Json, most: int = 5 * PAGE) -> Iterator[Json]:
        """Yield everything that a filter finds, page by page, up to about `most`."""
        for offset in range(0, most, PAGE):
            page = self.ask("POST", path, {**body, "limit": PAGE, "offset": offset}) or []
            yield from page
            if len(page) < PAGE:
                return

    def newest(self, keys: Iterable[str]) -> dict[str, list[Json]]:
        """Return the newest artifacts of each key, newest first. They are cached until the newest one changes.

        Raises:
            NoAnswer: the server does not answer.
        """
        found: dict[str, list[Json]] = {key: [] for key in keys}
        latest = self.ask("POST", "/artifacts/latest/filter", {"artifacts": {"key": {"any_": list(found)}}})
        for key, changed in ((each["key"], each["updated"]) for each in latest or []):
            if self._artifacts.get(key, ("",))[0] != changed:
                body = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": HISTORY}
                self._artifacts[key] = changed, self.ask("POST", "/artifacts/filter", body) or []
            found[key] = self._artifacts[key][1]
        return found

    def block(self, kind: str, name: str) -> Json | None:
        """Return the values of a saved block, with its secrets; None if it does not exist."""
        path = f"/block_types/slug/{kind}/block_documents/name/{quote(name)}?include_secrets=true"
        found = self.ask("GET", path)
        return found["data"] if found else None

    def variable(self, name: str) -> str | None:
        """Return a variable's value; None if it does not exist."""
        found = self.ask("GET", f"/variables/name/{quote(name)}")
        return str(found["value"]) if found else None

    def page(self, path: str) -> str:
        """Return the address of a page of Prefect's UI, as seen from this machine."""
        server = self.server
        if server.ui_url:
            return f"{server.ui_url.rstrip('/')}{path}"
        if is_own(server.api_url):
            # The server has another address within Compose's network than from this machine.
            return f"http://127.0.0.1:{server.port}{path}" if server.port not in ("", "0") else f"Prefect's UI, {path}"
        return f"{ui(server.api_url)}{path}"


def moment(text: str) -> datetime:
    """Parse a time from Prefect's API."""
    return datetime.fromisoformat(text)


def _authorization(server: PrefectServer) -> dict[str, str]:
    if key := server.api_key.get_secret_value():
        return {"Authorization": f"Bearer {key}"}
    if password := server.api_auth_string.get_secret_value():
        return {"Authorization": f"Basic {b64encode(password.encode()).decode()}"}
    return {}

"""Prefect's REST API, as far as the watch asks it.

Prefect's own client is not used here: it takes 100 MB of memory and 3 s to import.
"""

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
"""How many artifacts of a key are asked for."""
READY = "/ready"
"""Unlike /health, this also asks the server's database. Prefect Cloud has no such page: its 404 is an answer."""
EVENTS = "/events"
Json = dict[str, Any]


class NoAnswer(PlatformError):
    """Prefect's server does not answer, or what answers is not Prefect."""


class Prefect:
    """The server that PREFECT_API_URL names."""

    def __init__(self, server: PrefectServer, client: httpx.Client | None = None, seconds: float = SECONDS) -> None:
        self.server = server
        self._silent = False
        """Whether it did not answer: until `check` asks again, nobody waits for another answer."""
        self._client = client or httpx.Client(timeout=seconds, headers=_authorization(server))
        self._flows: dict[str, str] = {}
        self._artifacts: dict[str, tuple[str, list[Json]]] = {}
        """By key: when the newest was changed, and the newest ones; the id of `latest` is never another."""

    def check(self) -> None:
        """Find out whether the server and its database answer.

        Raises:
            NoAnswer: they do not; then `ask` does not wait for them until they are checked again.
        """
        self._silent = False
        try:
            self.ask("GET", READY)
        except NoAnswer:
            self._silent = True
            raise

    def flow_name(self, id_: str) -> str:
        """A flow's name, which never changes, by its id.

        Raises:
            NoAnswer
        """
        if id_ not in self._flows:
            found = self.ask("GET", f"/flows/{id_}")
            self._flows[id_] = found["name"] if found else id_
        return self._flows[id_]

    def answered(self) -> None:
        """Go on where the server answered when it was last asked.

        Raises:
            NoAnswer: it did not.
        """
        if self._silent:
            raise NoAnswer("Prefect's server did not answer a moment ago.")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON; None for 404 and for no content.

        Raises:
            NoAnswer: the server does not answer, or refuses.
        """
        if path != EVENTS:  # the watch's sign of life, which no other request that timed out should hide
            self.answered()
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
        """Everything that a filter finds, page by page, up to about `most`."""
        for offset in range(0, most, PAGE):
            page = self.ask("POST", path, {**body, "limit": PAGE, "offset": offset}) or []
            yield from page
            if len(page) < PAGE:
                return

    def newest(self, keys: Iterable[str]) -> dict[str, list[Json]]:
        """The newest artifacts of each key, newest first; they are asked for again only when one has changed.

        Raises:
            NoAnswer
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
        """The values of a saved block, with its secrets; None if there is none."""
        path = f"/block_types/slug/{kind}/block_documents/name/{quote(name)}?include_secrets=true"
        found = self.ask("GET", path)
        return found["data"] if found else None

    def variable(self, name: str) -> str | None:
        """A variable's value; None if there is none."""
        found = self.ask("GET", f"/variables/name/{quote(name)}")
        return str(found["value"]) if found else None

    def page(self, path: str) -> str:
        """Where a person looks: a page of the UI, as its address from this machine."""
        server = self.server
        if server.ui_url:
            return f"{server.ui_url.rstrip('/')}{path}"
        if is_own(server.api_url):
            # Within Compose's network the server has another address than from this machine.
            return f"http://127.0.0.1:{server.port}{path}" if server.port not in ("", "0") else f"Prefect's UI, {path}"
        return f"{ui(server.api_url)}{path}"


def moment(text: str) -> datetime:
    """A time as Prefect writes it."""
    return datetime.fromisoformat(text)


def _authorization(server: PrefectServer) -> dict[str, str]:
    if key := server.api_key.get_secret_value():
        return {"Authorization": f"Bearer {key}"}
    if password := server.api_auth_string.get_secret_value():
        return {"Authorization": f"Basic {b64encode(password.encode()).decode()}"}
    return {}

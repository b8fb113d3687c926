"""Requests to one Airbyte server: sending, authentication, and the meaning of each error status."""

import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from blocks.airbyte.api import Token
from blocks.airbyte.errors import (
    AirbyteError,
    AirbyteForbidden,
    AirbyteUnauthorised,
    AirbyteUnavailable,
    UnknownConnection,
)
from blocks.errors import ConfigurationError

TOKEN_MARGIN_SECONDS = 30.0
NO_SECRET = SecretStr("")

Model = TypeVar("Model", bound=BaseModel)


class AirbyteServer:
    """Talks to one Airbyte server. Use it in a `with` block, or call `close()`.

    Args:
        server_url: base URL of the public API, e.g. `http://localhost:8006/api/public/v1`.
        client_id, client_secret: of an Airbyte application; empty if the server requires no credentials.
        sleep: waits for a number of seconds.

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

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request; after a 401, once more with a new token. 5xx and no answer raise AirbyteUnavailable."""
        url = path if path.startswith("http") else self.server_url + path
        try:
            response = self._http.request(method, url, headers=self._authorization(), **request)
            if response.status_code == 401 and self._client_id:
                self._token_until = 0.0
                response = self._http.request(method, url, headers=self._authorization(), **request)
        except httpx.RequestError as error:
            raise AirbyteUnavailable(
                f"Airbyte does not answer at {self.server_url} ({type(error).__name__}: {error}). Start it: `make dev` "
                "starts the mock. For another server, set AIRBYTE_SERVER_URL."
            ) from error
        if response.status_code >= 500:
            raise AirbyteUnavailable(
                f"Airbyte at {self.server_url} answered {response.status_code} to {method} {path}. "
                "This is an error inside Airbyte. Look at its log, then run the flow again."
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
                    f"{self.server_url}/applications/token does not exist (404). Set AIRBYTE_SERVER_URL to the base "
                    "URL of Airbyte's public API: https://HOST/api/public/v1, or https://api.airbyte.com/v1 for the "
                    "Cloud."
                )
            self._raise_for(response, "the token call")
            token = self._parse(Token, response)
            self._token = token.access_token
            margin = min(TOKEN_MARGIN_SECONDS, token.expires_in / 2)
            self._token_until = time.monotonic() + token.expires_in - margin
        return {"Authorization": f"Bearer {self._token}"}

    def _unauthorised(self, response: httpx.Response) -> AirbyteUnauthorised:
        hint = (
            "They must belong to this server." if self._client_id else "They are not set, but this server needs them."
        )
        return AirbyteUnauthorised(
            f"Airbyte at {self.server_url} answered {response.status_code}: it does not accept the credentials. "
            f"Check AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET (or the AirbyteConnection block). {hint}"
        )

    def _raise_for(self, response: httpx.Response, subject: str) -> None:
        if response.is_success:
            return
        if response.status_code == 403 and self._client_id:
            raise AirbyteForbidden(
                f"Airbyte at {self.server_url} answered 403 for {subject}: it accepts the credentials, but their "
                "user lacks the permission. Give the application's user the role Runner in the connection's workspace, "
                "and check that AIRBYTE_CONNECTION_ID belongs to that workspace."
            )
        if response.status_code in (401, 403):
            raise self._unauthorised(response)
        if response.status_code == 404:
            raise UnknownConnection(
                f"Airbyte at {self.server_url} does not know {subject}. Check that AIRBYTE_SERVER_URL is the base URL "
                "of its public API, and that AIRBYTE_CONNECTION_ID is one of the connections listed at "
                f"{self.server_url}/connections."
            )
        if response.status_code in (409, 429) or response.status_code >= 500:
            raise AirbyteUnavailable(
                f"Airbyte at {self.server_url} keeps answering {response.status_code} for {subject}: "
                f"{_detail(response)}. Wait until the running jobs have ended, then run the flow again."
            )
        raise AirbyteError(
            f"Airbyte at {self.server_url} answered {response.status_code} for {subject}: {_detail(response)}. "
            "Check that AIRBYTE_SERVER_URL is the base URL of its public API, with the right scheme and port."
        )

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise AirbyteUnavailable(
                f"The answer from {self.server_url} is not Airbyte's JSON "
                f"({response.headers.get('content-type')}). Check that AIRBYTE_SERVER_URL is the base URL of the API."
            )
        return body

    def _parse(self, model: type[Model], answer: httpx.Response | dict[str, Any]) -> Model:
        body = answer if isinstance(answer, dict) else self._json(answer)
        try:
            return model.model_validate(body)
        except ValidationError as error:
            name, missing = model.__name__.strip("_").lower(), error.errors()[0]["loc"]
            raise AirbyteUnavailable(
                f"The answer from {self.server_url} lacks a field that Airbyte's API has in a {name}: {missing}. "
                "Check that AIRBYTE_SERVER_URL is the base URL of the public API."
            ) from error


def _checked(server_url: str) -> str:
    """Check a URL and return it without a trailing slash."""
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

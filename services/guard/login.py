"""The login of a page that shows data from a Prefect server. It is the same as the server's."""

import hmac
from base64 import b64decode

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

REALM = {"www-authenticate": 'Basic realm="Log in as on the Prefect server", charset="UTF-8"'}


class Login:
    """Passes on requests that have the server's `user:password`, or its API key as the password of any user.

    If both are empty, all requests are passed on.

    Args:
        app: the application. Its /health needs no login.
        user_and_password: the server's login, or empty if it has none.
        key: the server's API key, or empty if it has none.
    """

    def __init__(self, app: ASGIApp, user_and_password: str, key: str) -> None:
        self.app, self._expected, self._is_key = app, (user_and_password or key).encode(), not user_and_password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request as described at the class."""
        if scope["type"] != "http" or scope["path"] == "/health" or self._knows(Headers(scope=scope)):
            return await self.app(scope, receive, send)
        text = "Log in with the Prefect server's user and password."
        return await PlainTextResponse(text, 401, REALM)(scope, receive, send)

    def _knows(self, headers: Headers) -> bool:
        try:
            given = b64decode(headers.get("authorization", "").removeprefix("Basic "))
        except ValueError:
            given = b""
        given = given.partition(b":")[2] if self._is_key else given
        return not self._expected or hmac.compare_digest(given, self._expected)

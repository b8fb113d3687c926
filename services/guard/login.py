"""The login that a page for people asks for: that of the Prefect server whose facts it shows."""

import hmac
from base64 import b64decode

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

REALM = {"www-authenticate": 'Basic realm="Log in as on the Prefect server", charset="UTF-8"'}


class Login:
    """Hands on the requests of those who know the server's `user:password`, or its key as the password of any user.

    Args:
        app: the application; everybody may ask for its /health.
        user_and_password: the server's login; empty where it has none.
        key: the server's key; empty where it has none. Without either, every request is handed on.
    """

    def __init__(self, app: ASGIApp, user_and_password: str, key: str) -> None:
        self.app, self._expected, self._is_key = app, (user_and_password or key).encode(), not user_and_password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
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

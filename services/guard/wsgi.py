"""The guard for a WSGI application: moto's S3."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from services.guard.rules import SECURITY_HEADERS, Rules, is_cors

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class WsgiGuard:
    """Passes on only requests that `Rules` allow. Bodies are not limited, since S3 clients send any type and size."""

    def __init__(self, app: "WSGIApplication", rules: Rules) -> None:
        self.app = app
        self.rules = rules

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle one request as described at the class."""
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        local = environ.get("SERVER_NAME", "")
        if refused := self.rules.refusal(environ["REQUEST_METHOD"], environ["PATH_INFO"], headers, local):
            close = {"Content-Type": "text/plain; charset=utf-8", "Connection": "close", **SECURITY_HEADERS}
            start_response(f"{refused.status} {HTTPStatus(refused.status).phrase}", list(close.items()))
            return [refused.message.encode()]

        def start_without_cors(status: str, original: list[tuple[str, str]], *more: Any) -> Any:
            kept = [(name, value) for name, value in original if not is_cors(name)]
            return start_response(status, [*kept, *SECURITY_HEADERS.items()], *more)

        return self.app(environ, start_without_cors)

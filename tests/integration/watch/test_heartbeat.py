"""A watcher elsewhere hears of each good run."""

import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from blocks.webhook import ping
from tests.integration.servers import serving


def test_the_heartbeats_url_is_called_and_is_in_no_text_where_it_fails() -> None:
    calls: list[str] = []

    async def heard(request: Request) -> Response:
        calls.append(request.url.path)
        return PlainTextResponse("ok", 500 if len(calls) > 1 else 200)

    app = Starlette(routes=[Route("/{path:path}", heard)])
    with serving(uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))) as url:
        assert ping(SecretStr(f"{url}/secret-of-the-url")) == ""
        assert calls == ["/secret-of-the-url"]
        why = ping(SecretStr(f"{url}/secret-of-the-url"))
    assert "500" in why
    assert "secret" not in why + ping(SecretStr("http://127.0.0.1:9/secret-of-the-url")) + ping(SecretStr("://secret"))

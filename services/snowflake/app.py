"""fakesnow's HTTP server behind the emulator's own: logins are checked, statements rewritten, failures answered."""

import asyncio
import gzip
import json
import logging
from typing import Any

from fakesnow.instance import FakeSnow
from fakesnow.server import login_request, query_request
from fakesnow.server import routes as fakesnow_routes
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from services.snowflake.cursors import change_cursors
from services.snowflake.logins import refusal
from services.snowflake.rewrites import rewrite
from services.snowflake.settings import Settings
from services.snowflake.storage import open_storage

log = logging.getLogger("uvicorn.error")
LOGIN, QUERY = "/session/v1/login-request", "/queries/v1/query-request"


def create_app(settings: Settings) -> Starlette:
    """The emulator as an ASGI application, one a process; what it raises is `open_storage`'s."""
    change_cursors()
    return Starlette(routes=Emulator(settings, open_storage(settings.data, settings.database)).routes())


class Emulator:
    """The routes that are not fakesnow's alone."""

    def __init__(self, settings: Settings, storage: FakeSnow) -> None:
        self.settings, self.storage = settings, storage
        # DuckDB lets one of two statements that touch the same entry of a catalogue fail; Snowflake lets it wait.
        self.one_at_a_time = asyncio.Lock()

    def routes(self) -> list[Route]:
        """All routes, in the order in which they are tried."""
        own = [
            Route("/health", self.health),
            Route(LOGIN, self.login, methods=["POST"]),
            Route(QUERY, self.query, methods=["POST"]),
        ]
        return [*own, *(route for route in fakesnow_routes if route.path not in (LOGIN, QUERY))]

    async def health(self, _request: Request) -> Response:
        """200 while DuckDB answers."""
        with self.storage.duck_conn.cursor() as cursor:
            await run_in_threadpool(cursor.execute, "select 1")
        return JSONResponse({"status": "ok"})

    async def login(self, request: Request) -> Response:
        """Open a session for those who bring what the settings ask for."""
        login = (await _body(request))["data"]
        if refused := refusal(self.settings, login, dict(request.query_params)):
            code, message = refused
            log.info("refused a login of %s: %s", login.get("LOGIN_NAME"), message)
            return _failure(code, message)
        tag = login.get("SESSION_PARAMETERS", {}).get("QUERY_TAG")
        log.info("session of %s, query tag %s", login.get("LOGIN_NAME"), tag)
        return await login_request(request)

    async def query(self, request: Request) -> Response:
        """Run a statement; one that fakesnow cannot run is an error at once, and not one that clients try again."""
        body = await _body(request)
        body["sqlText"] = rewrite(body["sqlText"])
        async with self.one_at_a_time:
            response = await query_request(_with_body(request, body))
        if response.status_code == 500:
            said = json.loads(bytes(response.body))["message"]
            return _failure("000002", f"Unsupported feature: the Snowflake emulator cannot run this. {said}")
        return response


async def _body(request: Request) -> Any:
    body = await request.body()
    return json.loads(gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body)


def _with_body(request: Request, body: Any) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-encoding"]
    return Request({**request.scope, "headers": headers}, receive)


def _failure(code: str, message: str) -> JSONResponse:
    data = {"errorCode": code, "sqlState": "08001" if code.startswith("39") else "0A000"}
    return JSONResponse({"data": data, "code": code, "message": message, "success": False})

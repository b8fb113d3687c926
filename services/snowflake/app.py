"""The emulator's HTTP server: it checks logins, rewrites statements, reports errors, and passes them to fakesnow."""

import asyncio
import json
import logging
from typing import Any

from fakesnow.instance import FakeSnow
from fakesnow.server import login_request, query_request, sessions
from fakesnow.server import routes as fakesnow_routes
from pyarrow.lib import ArrowException
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from services.guard.asgi import Guard
from services.snowflake.access import Access
from services.snowflake.cursors import change_cursors
from services.snowflake.fence import forbidden_word
from services.snowflake.logins import refusal
from services.snowflake.rewrites import rewrite
from services.snowflake.sessions import SESSIONS, Session
from services.snowflake.settings import Settings
from services.snowflake.statements import time_travel_refusal
from services.snowflake.storage import open_storage
from services.snowflake.uploads import UPLOADS, Uploads

log = logging.getLogger("uvicorn.error")
LOGIN, QUERY = "/session/v1/login-request", "/queries/v1/query-request"
MAX_BODY_MB = 32.0
"""Limit of a statement with its bindings. Snowflake's own limit is 1 MB for the statement."""


def create_app(settings: Settings) -> Starlette:
    """Create the emulator as an ASGI application, at most once in a process. It raises what `open_storage` raises."""
    storage = open_storage(settings.data, settings.database)
    access = Access.load(settings.data / "access.json")
    change_cursors(access)
    routes = Emulator(settings, storage, access).routes()
    guard = Middleware(Guard, max_body_mb=MAX_BODY_MB, other_types=f"{UPLOADS}.*", streamed=UPLOADS)
    return Starlette(routes=routes, middleware=[guard])


class Emulator:
    """The routes that fakesnow does not have, or that change what fakesnow does."""

    def __init__(self, settings: Settings, storage: FakeSnow, access: Access) -> None:
        self.settings, self.storage, self.access = settings, storage, access
        # If two statements change the same catalog entry, one fails in DuckDB, but waits in Snowflake.
        self.statement_lock = asyncio.Lock()
        self.uploads = Uploads(settings.data / "stages")

    def routes(self) -> list[Route]:
        """Return all routes in the order in which they are matched."""
        own = [
            Route("/health", self.health),
            Route(LOGIN, self.login, methods=["POST"]),
            Route(QUERY, self.query, methods=["POST"]),
            self.uploads.route,
        ]
        paths = {route.path for route in own}
        return [*own, *(route for route in fakesnow_routes if route.path not in paths)]

    async def health(self, _request: Request) -> Response:
        """Answer 200 if DuckDB runs a query."""
        with self.storage.duck_conn.cursor() as cursor:
            await run_in_threadpool(cursor.execute, "select 1")
        return JSONResponse({"status": "ok"})

    async def login(self, request: Request) -> Response:
        """Open a session if the settings allow the login."""
        if (body := await _body(request)) is None:
            return NOT_JSON
        login = body.setdefault("data", {})
        if not isinstance(login, dict) or not isinstance(login.setdefault("SESSION_PARAMETERS", {}), dict):
            return NOT_JSON
        if refused := refusal(self.settings, login, dict(request.query_params), self.access):
            code, message = refused
            log.info("refused a login of %s: %s", login.get("LOGIN_NAME"), message)
            return _failure(code, message)
        # With this parameter, a client could make fakesnow open any file.
        login["SESSION_PARAMETERS"].pop("FAKESNOW_DB_PATH", None)
        tag = login["SESSION_PARAMETERS"].get("QUERY_TAG")
        log.info("session of %s, query tag %s", login.get("LOGIN_NAME"), tag)
        response = await login_request(_with_body(request, body))
        answer = json.loads(bytes(response.body))
        session = Session.of_login(login, request.query_params, self.access.warehouses)
        SESSIONS[sessions[answer["data"]["token"]]] = session
        answer["data"]["sessionInfo"] |= {"roleName": session.role, "warehouseName": session.warehouse or None}
        return JSONResponse(answer)

    async def query(self, request: Request) -> Response:
        """Run a statement. If fakesnow cannot run it, answer with an error that clients do not retry."""
        body = await _body(request)
        if body is None or not isinstance(body.get("sqlText"), str):
            return NOT_JSON
        if word := forbidden_word(body["sqlText"]):
            return _failure(
                "000002", f"Unsupported feature {word!r}: SQL cannot use files, settings or extensions here."
            )
        if refused := time_travel_refusal(body["sqlText"]):
            return _failure("000002", refused)
        body["sqlText"] = rewrite(body["sqlText"])
        async with self.statement_lock:
            try:
                response = await query_request(_with_body(request, body))
            except ArrowException as error:  # the result has a type that Arrow cannot send
                return _failure("000002", f"Unsupported feature: the Snowflake emulator cannot return this. {error}")
        if response.status_code == 500:
            message = json.loads(bytes(response.body))["message"]
            return _failure("000002", f"Unsupported feature: the Snowflake emulator cannot run this. {message}")
        return self.uploads.signed(response)


async def _body(request: Request) -> dict[str, Any] | None:
    """Return the JSON object in a request's body, or None if the body is something else."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _with_body(request: Request, body: Any) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    return Request(request.scope, receive)


NOT_JSON = JSONResponse({"message": "The body is not the JSON object that Snowflake clients send."}, 400)


def _failure(code: str, message: str) -> JSONResponse:
    data = {"errorCode": code, "sqlState": "08001" if code.startswith("39") else "0A000"}
    return JSONResponse({"data": data, "code": code, "message": message, "success": False})

"""What all operations share: tokens, faults, parameters, bodies and error responses."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, cast
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte import problems
from services.airbyte.catalog.catalog import Catalog
from services.airbyte.faults import Fault, FaultKind, Faults
from services.airbyte.jobs.engine import Engine
from services.airbyte.jobs.store import Store
from services.airbyte.problems import ApiError
from services.airbyte.resources import Resources
from services.airbyte.settings import Settings
from services.airbyte.tokens import Tokens

log = logging.getLogger("airbyte")
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True)
class Mock:
    """The parts of the mock that operations work with."""

    settings: Settings
    catalog: Catalog
    store: Store
    engine: Engine
    tokens: Tokens
    faults: Faults
    resources: Resources


Handler = Callable[[Request, Mock], Awaitable[Response]]
BASIC = {"WWW-Authenticate": 'Basic realm="client id as the user, client secret as the password", charset="UTF-8"'}


def operation(method: str, path: str, name: str, handler: Handler, public: bool = False) -> Route:
    """Return a route of the API. `name` is its operationId in Airbyte's OpenAPI document, which faults refer to."""

    async def endpoint(request: Request) -> Response:
        mock: Mock = request.app.state.mock
        try:
            if not public and not mock.tokens.accepts(request.headers.get("authorization")):
                raise problems.unauthorized(request.url.path)
            fault = await _fault(request, mock, name)
            if fault is None:
                return await handler(request, mock)
            return await _apply_fault(fault, request, mock, handler)
        except ApiError as error:
            return error.response()
        except Exception:
            log.exception("%s %s", request.method, request.url.path)
            return problems.error_id(500).response()

    return Route(path, endpoint, methods=[method], name=name)


def guarded_route(path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str = "GET") -> Route:
    """Return a route outside of the API. If credentials are configured, it needs a token or basic authentication."""

    async def checked(request: Request) -> Response:
        tokens = cast(Mock, request.app.state.mock).tokens
        if tokens.accepts(authorization := request.headers.get("authorization")) or tokens.accepts_basic(authorization):
            return await endpoint(request)
        message = "Send a token, or the client id and secret with HTTP basic authentication."
        return JSONResponse({"message": message}, 401, BASIC)

    return Route(path, checked, methods=[method])


async def json_body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()  # a stored lone surrogate would break every list
    except (ValueError, RecursionError):
        raise problems.unprocessable("the body is not JSON") from None
    if not isinstance(body, dict):
        raise problems.unprocessable("the body is not a JSON object")
    return body


def uuid_value(request: Request, text: object, name: str) -> UUID:
    """Parse a UUID from path, query or body. For other text, Airbyte's server answers 500, and so does `strict`."""
    try:
        if len(str(text)) != 36:
            raise ValueError  # Python also accepts braces, a prefix, and UUIDs without hyphens
        return UUID(str(text))
    except ValueError:
        if cast(Mock, request.app.state.mock).settings.strict:
            raise problems.error_id(500) from None
        raise problems.bad_request(request.url.path, f"{name}: {text!r} is not a UUID") from None


def enum_value(request: Request, kind: type[E], text: str, name: str) -> E:
    try:
        return kind(text.lower())
    except ValueError:
        allowed = ", ".join(kind)
        raise problems.bad_request(request.url.path, f"{name}: {text!r} is not one of {allowed}") from None


def query_int(request: Request, name: str, default: int, low: int, high: int = 2**31 - 1) -> int:
    text = request.query_params.get(name, str(default))
    try:
        value = int(text if re.fullmatch(r"[+-]?[0-9]+", text) else "")
    except ValueError:
        raise problems.bad_request(request.url.path, f"{name}: {text!r} is not a number") from None
    if not low <= value <= high:
        limits = f"at least {low}" if value < low else f"at most {high}"
        raise problems.bad_request(request.url.path, f"{name}: must be {limits}")
    return value


def query_bool(request: Request, name: str) -> bool:
    return request.query_params.get(name, "false").lower() == "true"


def query_time(request: Request, name: str) -> int | None:
    """Parse an RFC 3339 date-time with a time zone; return microseconds since 1970."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped "+" arrives as a space
        if at.tzinfo is None or "T" not in text.upper():
            raise ValueError
    except ValueError:
        raise problems.bad_request(request.url.path, f"{name}: {text!r} is not a date-time with a time zone") from None
    return round(at.timestamp() * 1_000_000)


def query_uuids(request: Request, name: str) -> list[UUID]:
    """Parse a parameter that may be repeated, comma-separated, or both."""
    texts = [part for value in request.query_params.getlist(name) for part in value.split(",") if part]
    return [uuid_value(request, text, name) for text in texts]


def list_url(request: Request, path: str) -> str:
    base = cast(Mock, request.app.state.mock).settings.public_url or f"{str(request.base_url).rstrip('/')}/api/public"
    return f"{base.rstrip('/')}/v1{path}"


async def _fault(request: Request, mock: Mock, name: str) -> Fault | None:
    if not mock.faults.all():
        return None
    return mock.faults.for_request(name, await _connection_id(request, mock))


async def _connection_id(request: Request, mock: Mock) -> UUID | None:
    """Return the id of the connection that a request refers to, or None."""
    try:
        if (job_id := request.path_params.get("jobId")) is not None:
            return mock.store.job(int(job_id)).connection_id
        text = request.path_params.get("connectionId") or request.query_params.get("connectionId")
        if text is None and request.method == "POST":
            text = (await json_body(request)).get("connectionId")
        return UUID(str(text)) if text else None
    except (KeyError, ValueError, ApiError):
        return None


async def _apply_fault(fault: Fault, request: Request, mock: Mock, handler: Handler) -> Response:
    if fault.kind is FaultKind.SLOW:
        real = await handler(request, mock)
        await asyncio.sleep(fault.seconds)
        return real
    if fault.after:
        await handler(request, mock)
    match fault.kind:
        case FaultKind.HANG:
            while mock.faults.is_present(fault):
                await asyncio.sleep(0.05)
            return Response(status_code=504)
        case FaultKind.MALFORMED_JSON:
            return Response('{"jobId": 1, "status": "runn', media_type="application/json")
        case _:
            return _error_response(fault.status, request)


def _error_response(status: int, request: Request) -> Response:
    match status:
        case 401:
            return problems.unauthorized(request.url.path).response()
        case 403:
            message = "Caller does not have the required permissions to access the resource(s)."
            return problems.forbidden(message).response()
        case 429:
            return JSONResponse({"message": "You are being rate limited."}, 429)
        case 500:
            return problems.error_id(500).response()
        case _:
            page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>nginx</body></html>"
            return Response(page, status, media_type="text/html")

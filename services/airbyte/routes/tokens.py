"""Issue access tokens for client credentials, sent as JSON or as a form. The grant type is not checked."""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte import problems
from services.airbyte.faults import FaultKind
from services.airbyte.routes.endpoints import Mock, json_body, operation


async def create(request: Request, mock: Mock) -> Response:
    if request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        body = dict(parse_qsl((await request.body()).decode(errors="replace")))
    else:
        body = {name: value for name, value in (await json_body(request)).items() if isinstance(value, str)}
    early = mock.faults.of_kind(FaultKind.TOKEN_EXPIRES)
    lifetime = early.seconds if early else None
    token = mock.tokens.issue(body.get("client_id", ""), body.get("client_secret", ""), lifetime)
    if token is None:
        raise problems.bad_request(request.url.path, "Invalid client id or token")
    return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": mock.settings.token_lifetime})


ROUTES: list[Route] = [operation("POST", "/applications/token", "createAccessToken", create, public=True)]

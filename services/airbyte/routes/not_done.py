"""Operations that Airbyte's public API has and the mock has not: 501 with a problem body that says so."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.airbyte import problems
from services.airbyte.operations import NOT_DONE, OPERATIONS, Operation
from services.airbyte.requests import Mock, operation


def _route(missing: Operation) -> Route:
    async def refuse(_request: Request, _mock: Mock) -> Response:
        raise problems.not_implemented(missing.name)

    return operation(missing.method, missing.path, missing.name, refuse)


ROUTES: list[Route] = [_route(each) for each in OPERATIONS if each.state == NOT_DONE]

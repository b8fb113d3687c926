"""Answer operations of Airbyte's public API that the mock does not implement with 501 and a problem body."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.airbyte import problems
from services.airbyte.operations import NOT_DONE, OPERATIONS, Operation
from services.airbyte.routes.endpoints import Mock, operation


def _route(missing: Operation) -> Route:
    async def refuse(_request: Request, _mock: Mock) -> Response:
        raise problems.not_implemented(missing.name)

    return operation(missing.method, missing.path, missing.name, refuse)


ROUTES: list[Route] = [_route(each) for each in OPERATIONS if each.state == NOT_DONE]

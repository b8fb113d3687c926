"""The pages for browsers: the mock's state at `/` and the API reference at `/docs`. They load no external files."""

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from services.airbyte.routes import reference
from services.airbyte.routes.endpoints import Mock, guarded_route
from services.airbyte.routes.state import state

PAGE = Path(__file__).with_name("page.html")


async def home(_request: Request) -> Response:
    return FileResponse(PAGE)


async def live(request: Request) -> Response:
    """Return the data for the page."""
    mock: Mock = request.app.state.mock
    return JSONResponse(state(mock) | {"canFault": mock.settings.faults, "needsToken": mock.tokens.required})


async def docs(_request: Request) -> Response:
    return HTMLResponse(await asyncio.to_thread(reference.page))


async def document(_request: Request) -> Response:
    return FileResponse(reference.DOCUMENT, media_type="application/yaml")


async def license_(_request: Request) -> Response:
    return FileResponse(reference.DOCUMENT.with_name("ELASTIC-LICENSE.txt"), media_type="text/plain")


ROUTES: list[Route] = [
    guarded_route("/", home),
    guarded_route("/state.json", live),
    guarded_route("/docs", docs),
    guarded_route("/openapi.yaml", document),
    guarded_route("/openapi-license.txt", license_),
]

"""For people: what the mock is doing at `/`, the API's reference at `/docs`. Nothing is loaded from elsewhere."""

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from services.airbyte import reference
from services.airbyte.requests import Mock, aside
from services.airbyte.state import state

PAGE = Path(__file__).with_name("page.html")


async def home(_request: Request) -> Response:
    return FileResponse(PAGE)


async def live(request: Request) -> Response:
    """What the page shows."""
    mock: Mock = request.app.state.mock
    return JSONResponse(state(mock) | {"canFault": mock.settings.faults, "needsToken": mock.tokens.required})


async def docs(_request: Request) -> Response:
    return HTMLResponse(await asyncio.to_thread(reference.page))


async def document(_request: Request) -> Response:
    return FileResponse(reference.DOCUMENT, media_type="application/yaml")


async def license_(_request: Request) -> Response:
    return FileResponse(reference.DOCUMENT.with_name("ELASTIC-LICENSE.txt"), media_type="text/plain")


ROUTES: list[Route] = [
    aside("/", home),
    aside("/state.json", live),
    aside("/docs", docs),
    aside("/openapi.yaml", document),
    aside("/openapi-license.txt", license_),
]

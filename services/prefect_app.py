"""Prefect's server as an ASGI application behind the guard.

The API's documentation is served from here, because Prefect's own pages load scripts from a CDN. Start it with:

uvicorn --factory services.prefect_app:create_app --port 4200
"""

from fastapi_offline import FastAPIOffline
from prefect.server.api.server import create_app as create_prefect_app

from services.guard.asgi import Guard

MAX_BODY_MB = 16.0
"""Prefect's clients send up to 2 MB of logs at once. Artifacts and parameters may be larger."""


def create_app() -> Guard:
    """Return Prefect's application behind the guard. /docs and /redoc work without internet access."""
    app = create_prefect_app()
    pages = FastAPIOffline(title=app.title, openapi_url=app.openapi_url)
    # The first matching route wins, so put these first. Prefect still serves its own schema.
    app.router.routes[:0] = [route for route in pages.routes if getattr(route, "path", "") != app.openapi_url]
    return Guard(app, MAX_BODY_MB, pages=True)

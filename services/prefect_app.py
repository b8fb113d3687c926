"""Prefect's server behind the guard. The API's documentation is served from here: Prefect's own pages need a CDN.

uvicorn --factory services.prefect_app:create_app --port 4200
"""

from fastapi_offline import FastAPIOffline
from prefect.server.api.server import create_app as create_prefect_app

from services.guard.asgi import Guard

MAX_BODY_MB = 16.0
"""Prefect's clients send logs of up to 2 MB at once; artifacts and parameters may be larger."""


def create_app() -> Guard:
    """Prefect's application behind the guard; /docs and /redoc need no network."""
    app = create_prefect_app()
    pages = FastAPIOffline(title=app.title, openapi_url=app.openapi_url)
    # The first route that matches answers. The schema stays Prefect's own.
    app.router.routes[:0] = [route for route in pages.routes if getattr(route, "path", "") != app.openapi_url]
    return Guard(app, MAX_BODY_MB, pages=True)

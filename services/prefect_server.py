"""Prefect's server with its API's documentation served from here: Prefect's own pages load theirs from a CDN.

uvicorn --factory services.prefect_server:create_app --port 4200
"""

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from prefect.server.api.server import create_app as create_prefect_app


def create_app() -> FastAPI:
    """Prefect's application; /docs and /redoc need no network."""
    app = create_prefect_app()
    pages = FastAPIOffline(title=app.title, openapi_url=app.openapi_url)
    # The first route that matches answers. The schema stays Prefect's own.
    app.router.routes[:0] = [route for route in pages.routes if getattr(route, "path", "") != app.openapi_url]
    return app

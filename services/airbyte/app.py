"""The ASGI application of the mock, for uvicorn, a thread or Starlette's TestClient."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from services.airbyte import problems
from services.airbyte.catalog.catalog import Catalog
from services.airbyte.catalog.config import Config
from services.airbyte.catalog.config_file import ConfigError, load_config, with_bucket
from services.airbyte.config_changes import ConfigChanges
from services.airbyte.faults import FaultRequest, Faults
from services.airbyte.jobs.engine import Engine
from services.airbyte.jobs.store import Store
from services.airbyte.resources import Resources
from services.airbyte.routes import configuration_api, faults, jobs, not_done, pages, resources, tokens
from services.airbyte.routes.endpoints import Mock
from services.airbyte.settings import Settings
from services.airbyte.tokens import Tokens
from services.guard.asgi import Guard

MAX_BODY_MB = 4.0
"""Enough for a connection with thousands of streams."""
TOKENS = r"(/api/public/v1)?/applications/token"
"""OAuth clients request a token with a form instead of JSON."""


def create_app(settings: Settings) -> Starlette:
    """Create the application. Its state and its jobs start and stop with its lifespan.

    Raises:
        ConfigError: the config file cannot be used. It is read right away.
    """
    config = _config(settings)
    Catalog(config, settings.lake_dir)  # fail before anything starts
    fault_set = _fault_set(config, settings.fault_set)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        store, fault_list = Store(settings.state_dir), Faults(fault_set)
        catalog = Catalog(config, settings.lake_dir, settings.like_airbyte)
        engine = Engine(settings, catalog, store, fault_list)
        try:
            resources_ = Resources(catalog, store, engine.cancel)
            app.state.mock = Mock(settings, catalog, store, engine, Tokens(settings, store), fault_list, resources_)
            await engine.start()
            changes = ConfigChanges(settings, _config, catalog, store, engine)
            following = asyncio.create_task(changes.follow(), name="config changes")
            yield
            following.cancel()
        finally:
            await engine.stop()
            store.close()

    public = [*jobs.ROUTES, *resources.ROUTES, *tokens.ROUTES, *not_done.ROUTES]
    handlers = {404: _no_such_route, 405: _no_such_route}
    api = [Mount("/api/public/v1", routes=public), Mount("/api/v1", routes=configuration_api.ROUTES)]
    routes: list[BaseRoute] = [*api, *tokens.ROUTES, *pages.ROUTES]
    routes.append(Mount("/_mock", routes=[*faults.FILES, *(faults.ROUTES if settings.faults else [])]))
    guard = Middleware(Guard, max_body_mb=MAX_BODY_MB, pages=True, other_types=TOKENS)
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers, middleware=[guard])


def _config(settings: Settings) -> Config:
    config = load_config(settings.config, settings.destination)
    return with_bucket(config, settings.s3_bucket, settings.s3_prefix) if settings.s3_bucket else config


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return problems.no_such_route(status, request.url.path).response()


def _fault_set(config: Config, name: str | None) -> list[FaultRequest]:
    if name is not None and name not in config.faultSets:
        known = ", ".join(config.faultSets) or "none"
        raise ConfigError(f"There is no fault set {name!r}. The config file has these faultSets: {known}.")
    return config.faultSets[name] if name else []

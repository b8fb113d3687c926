"""Workspaces, sources, destinations, connections and streams: what the config file declares, read only."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte import problems, wire
from services.airbyte.config import Connection, Destination, Source, Workspace
from services.airbyte.requests import Mock, list_url, operation, query_int, query_uuids, uuid_value

R = TypeVar("R", Workspace, Source, Destination, Connection)


def _resource(
    kind: str,
    all_of: Callable[[Mock], Mapping[UUID, R]],
    workspace_of: Callable[[Mock, R], UUID],
    shape: Callable[[Mock, R], dict[str, Any]],
) -> list[Route]:
    """GET of the list and of one."""

    async def list_(request: Request, mock: Mock) -> Response:
        limit = query_int(request, "limit", default=20, low=1, high=100)
        offset = query_int(request, "offset", default=0, low=0)
        workspaces = query_uuids(request, "workspaceIds")
        found = [r for r in all_of(mock).values() if not workspaces or workspace_of(mock, r) in workspaces]
        kept = [("workspaceIds", ",".join(map(str, workspaces)))] if workspaces else []
        data = [shape(mock, resource) for resource in found[offset : offset + limit]]
        return JSONResponse(wire.page(data, list_url(request, f"/{kind}s"), kept, limit, offset))

    async def get(request: Request, mock: Mock) -> Response:
        id_ = uuid_value(request, request.path_params[f"{kind}Id"], f"{kind}Id")
        if (resource := all_of(mock).get(id_)) is None:
            raise problems.not_found(kind, id_)
        return JSONResponse(shape(mock, resource))

    name = kind.capitalize()
    return [
        operation("GET", f"/{kind}s", f"list{name}s", list_),
        operation("GET", f"/{kind}s/{{{kind}Id}}", f"get{name}", get),
    ]


async def streams(request: Request, mock: Mock) -> Response:
    if not (text := request.query_params.get("sourceId")):
        raise problems.bad_request(request.url.path, "sourceId: must not be null")
    source = mock.catalog.sources.get(id_ := uuid_value(request, text, "sourceId"))
    if source is None:
        raise problems.not_found("source", id_)
    return JSONResponse([wire.stream(stream) for stream in source.configuration.streams])


async def health(_request: Request, _mock: Mock) -> Response:
    return Response("Successful operation", media_type="text/plain")


ROUTES: list[Route] = [
    operation("GET", "/health", "getHealthCheck", health, public=True),
    *_resource("workspace", lambda m: m.catalog.workspaces, lambda _, w: w.workspaceId, lambda _, w: wire.workspace(w)),
    *_resource("source", lambda m: m.catalog.sources, lambda _, s: s.workspaceId, lambda _, s: wire.source(s)),
    *_resource(
        "destination", lambda m: m.catalog.destinations, lambda _, d: d.workspaceId, lambda _, d: wire.destination(d)
    ),
    *_resource(
        "connection",
        lambda m: m.catalog.connections,
        lambda m, c: m.catalog.workspace_of(c),
        lambda m, c: wire.connection(c, m.catalog),
    ),
    operation("GET", "/streams", "getStreamProperties", streams),
]

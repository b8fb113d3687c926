"""List, create, get, change and delete workspaces, sources, destinations, connections and tags."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte import problems
from services.airbyte.catalog.catalog import KINDS, Catalog, Resource
from services.airbyte.catalog.config import Connection, Destination, Source, SyncMode, Tag, Workspace
from services.airbyte.routes import wire
from services.airbyte.routes.endpoints import (
    Mock,
    json_body,
    list_url,
    operation,
    query_bool,
    query_int,
    query_uuids,
    uuid_value,
)

CHANGE = {"workspace": "updateWorkspace", "tag": "updateTag"}
PUT = ("source", "destination")


def shape(resource: Resource, catalog: Catalog) -> dict[str, Any]:
    match resource:
        case Workspace():
            return wire.workspace(resource)
        case Source():
            return wire.source(resource)
        case Destination():
            return wire.destination(resource)
        case Connection():
            return wire.connection(resource, catalog)
        case Tag():
            return wire.tag(resource)


def _routes(kind: str) -> list[Route]:
    name, path = kind.capitalize(), f"/{kind}s/{{{kind}Id}}"

    async def list_(request: Request, mock: Mock) -> Response:
        return _list(kind, request, mock)

    async def create(request: Request, mock: Mock) -> Response:
        return _answer(mock.resources.create(kind, await json_body(request)), mock)

    async def get(request: Request, mock: Mock) -> Response:
        return _answer(_find(kind, request, mock), mock)

    async def change(request: Request, mock: Mock) -> Response:
        resource = _find(kind, request, mock)
        return _answer(mock.resources.change(kind, resource, await json_body(request)), mock)

    async def replace(request: Request, mock: Mock) -> Response:
        resource = _find(kind, request, mock)
        return _answer(mock.resources.replace(kind, resource, await json_body(request)), mock)

    async def delete(request: Request, mock: Mock) -> Response:
        mock.resources.delete(kind, _find(kind, request, mock))
        return Response(status_code=204)

    routes = [
        operation("GET", f"/{kind}s", f"list{name}s", list_),
        operation("POST", f"/{kind}s", f"create{name}", create),
        operation("GET", path, f"get{name}", get),
        operation("PATCH", path, CHANGE.get(kind, f"patch{name}"), change),
        operation("DELETE", path, f"delete{name}", delete),
    ]
    return [*routes, operation("PUT", path, f"put{name}", replace)] if kind in PUT else routes


def _answer(resource: Resource, mock: Mock) -> Response:
    return JSONResponse(shape(resource, mock.catalog))


def _find(kind: str, request: Request, mock: Mock) -> Resource:
    id_ = uuid_value(request, request.path_params[f"{kind}Id"], f"{kind}Id")
    if (resource := mock.catalog.by_kind[kind].get(id_)) is None:
        raise problems.not_found(kind, id_)
    return resource


def _list(kind: str, request: Request, mock: Mock) -> Response:
    """List resources. All tags are in one response; other kinds are paged."""
    wanted = _filter(request, mock)
    found = [resource for resource in mock.catalog.by_kind[kind].values() if wanted(resource)]
    if query_bool(request, "includeDeleted"):
        found += [resource for resource in mock.catalog.deleted[kind].values() if wanted(resource)]
    if kind == "tag":
        return JSONResponse({"data": [shape(tag, mock.catalog) for tag in found]})
    limit = query_int(request, "limit", default=20, low=1, high=100)
    offset = query_int(request, "offset", default=0, low=0)
    data = [shape(resource, mock.catalog) for resource in found[offset : offset + limit]]
    return JSONResponse(wire.page(data, list_url(request, f"/{kind}s"), _kept(request), limit, offset))


def _filter(request: Request, mock: Mock) -> Callable[[Resource], bool]:
    workspaces, tags = query_uuids(request, "workspaceIds"), query_uuids(request, "tagIds")

    def wanted(resource: Resource) -> bool:
        tagged = not tags or not isinstance(resource, Connection) or bool(set(resource.tags) & set(tags))
        return tagged and (not workspaces or mock.catalog.workspace_id(resource) in workspaces)

    return wanted


def _kept(request: Request) -> list[tuple[str, str]]:
    """Return the parameters that the links to other pages keep."""
    kept = [
        (name, ",".join(map(str, ids))) for name in ("workspaceIds", "tagIds") if (ids := query_uuids(request, name))
    ]
    return kept + ([("includeDeleted", "true")] if query_bool(request, "includeDeleted") else [])


async def streams(request: Request, mock: Mock) -> Response:
    if not (text := request.query_params.get("sourceId")):
        raise problems.bad_request(request.url.path, "sourceId: must not be null")
    source = mock.catalog.sources.get(id_ := uuid_value(request, text, "sourceId"))
    if source is None:
        raise problems.not_found("source", id_)
    modes = list(SyncMode)
    if (text := request.query_params.get("destinationId")) is not None:
        if (destination := mock.catalog.destinations.get(id_ := uuid_value(request, text, "destinationId"))) is None:
            raise problems.not_found("destination", id_)
        modes = destination.syncModes
    columns = await mock.engine.discovery.columns(source, again=query_bool(request, "ignoreCache"))
    return JSONResponse(
        [wire.stream(stream, modes, columns.get(stream.name, {})) for stream in source.configuration.streams]
    )


async def health(_request: Request, _mock: Mock) -> Response:
    return Response("Successful operation", media_type="text/plain")


ROUTES: list[Route] = [
    operation("GET", "/health", "getHealthCheck", health, public=True),
    *[route for kind in KINDS for route in _routes(kind)],
    operation("GET", "/streams", "getStreamProperties", streams),
]

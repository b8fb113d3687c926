"""The endpoints below `/_mock`: inject faults, show the mock's state, remove an object's rows, and compact files."""

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte.errors import CompactionFailed, RemovalFailed
from services.airbyte.faults import FaultKind, FaultRequest, Faults
from services.airbyte.routes.endpoints import guarded_route
from services.airbyte.routes.state import state as everything


class Removal(BaseModel):
    """The object whose rows are to be removed."""

    bucket: str = Field(min_length=1)
    key: str = Field(min_length=1)


class Compaction(BaseModel):
    """The stream whose small files are to be merged. By default, those of all streams are."""

    stream: str = ""


def _invalid(error: ValidationError) -> Response:
    details = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
    return JSONResponse({"errors": details}, 422)


def _faults(request: Request) -> Faults:
    faults: Faults = request.app.state.mock.faults
    return faults


async def list_(request: Request) -> Response:
    return JSONResponse([fault.model_dump(mode="json", exclude_none=True) for fault in _faults(request).all()])


async def add(request: Request) -> Response:
    try:
        body = FaultRequest.model_validate_json(await request.body())
    except ValidationError as error:
        return _invalid(error)
    if body.kind is FaultKind.REFUSE:
        return _refuse(request, body)
    return JSONResponse(_faults(request).add(body).model_dump(mode="json", exclude_none=True), 201)


def _refuse(request: Request, body: FaultRequest) -> Response:
    """Add a fault that starts at once and ends by itself."""
    server = getattr(request.app.state, "server", None)
    if server is None:
        details = {"field": "kind", "message": "this mock does not listen on a port, so it cannot refuse connections"}
        return JSONResponse({"errors": [details]}, 422)
    fault = _faults(request).add(body)
    fault.struck += 1

    request.app.state.refusing = task = server.refuse(body.seconds)
    task.add_done_callback(lambda _: _faults(request).remove(fault.faultId))
    return JSONResponse(fault.model_dump(mode="json", exclude_none=True), 201)


async def state(request: Request) -> Response:
    return JSONResponse(everything(request.app.state.mock))


async def clear(request: Request) -> Response:
    _faults(request).clear()
    return Response(status_code=204)


async def remove(request: Request) -> Response:
    return Response(status_code=204 if _faults(request).remove(request.path_params["faultId"]) else 404)


async def remove_file(request: Request) -> Response:
    """Remove an object's rows from all streams after active syncs have ended; answer with the row count by stream."""
    try:
        body = Removal.model_validate_json(await request.body())
    except ValidationError as error:
        return _invalid(error)
    try:
        return JSONResponse({"removed": await request.app.state.mock.engine.remove(body.bucket, body.key)})
    except RemovalFailed as error:
        return JSONResponse({"notRemoved": str(error)}, 409)


async def compact(request: Request) -> Response:
    """Merge the small files of streams after active syncs have ended; answer with the file counts before and after."""
    try:
        body = Compaction.model_validate_json(await request.body())
    except ValidationError as error:
        return _invalid(error)
    try:
        return JSONResponse({"compacted": await request.app.state.mock.engine.compact(body.stream)})
    except CompactionFailed as error:
        return JSONResponse({"notCompacted": str(error)}, 409)


FILES: list[Route] = [guarded_route("/removals", remove_file, "POST"), guarded_route("/compactions", compact, "POST")]
ROUTES: list[Route] = [
    guarded_route("/state", state),
    guarded_route("/faults", list_),
    guarded_route("/faults", add, "POST"),
    guarded_route("/faults", clear, "DELETE"),
    guarded_route("/faults/{faultId:int}", remove, "DELETE"),
]

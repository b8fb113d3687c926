"""`/_mock`: the faults that the mock is to produce (list, add, remove, clear), what it believes, and raw's files."""

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte.errors import CompactionFailed, RemovalFailed
from services.airbyte.faults import FaultKind, FaultRequest, Faults
from services.airbyte.requests import aside
from services.airbyte.state import state as everything


class Removal(BaseModel):
    """The object whose rows are to go."""

    bucket: str = Field(min_length=1)
    key: str = Field(min_length=1)


class Compaction(BaseModel):
    """The stream whose small files are to be merged; without a name all are."""

    stream: str = ""


def _invalid(error: ValidationError) -> Response:
    said = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
    return JSONResponse({"errors": said}, 422)


def _faults(request: Request) -> Faults:
    faults: Faults = request.app.state.mock.faults
    return faults


async def list_(request: Request) -> Response:
    return JSONResponse([fault.model_dump(mode="json", exclude_none=True) for fault in _faults(request).all()])


async def add(request: Request) -> Response:
    try:
        wanted = FaultRequest.model_validate_json(await request.body())
    except ValidationError as error:
        return _invalid(error)
    if wanted.kind is FaultKind.REFUSE:
        return _refuse(request, wanted)
    return JSONResponse(_faults(request).add(wanted).model_dump(mode="json", exclude_none=True), 201)


def _refuse(request: Request, wanted: FaultRequest) -> Response:
    """Strikes at once, and is over after its seconds."""
    server = getattr(request.app.state, "server", None)
    if server is None:
        said = {"field": "kind", "message": "this mock has no port of its own that it could close"}
        return JSONResponse({"errors": [said]}, 422)
    fault = _faults(request).add(wanted)
    fault.struck += 1

    request.app.state.refusing = task = server.refuse(wanted.seconds)
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
    """Take an object's rows out of every stream, once the syncs that run have ended; answers with rows by stream."""
    try:
        wanted = Removal.model_validate_json(await request.body())
    except ValidationError as error:
        return _invalid(error)
    try:
        return JSONResponse({"removed": await request.app.state.mock.engine.remove(wanted.bucket, wanted.key)})
    except RemovalFailed as error:
        return JSONResponse({"notRemoved": str(error)}, 409)


async def compact(request: Request) -> Response:
    """Merge the small files of streams, once the syncs that run have ended; answers with files before and after."""
    try:
        wanted = Compaction.model_validate_json(await request.body())
    except ValidationError as error:
        return _invalid(error)
    try:
        return JSONResponse({"compacted": await request.app.state.mock.engine.compact(wanted.stream)})
    except CompactionFailed as error:
        return JSONResponse({"notCompacted": str(error)}, 409)


FILES: list[Route] = [aside("/removals", remove_file, "POST"), aside("/compactions", compact, "POST")]
ROUTES: list[Route] = [
    aside("/state", state),
    aside("/faults", list_),
    aside("/faults", add, "POST"),
    aside("/faults", clear, "DELETE"),
    aside("/faults/{faultId:int}", remove, "DELETE"),
]

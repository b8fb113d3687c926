"""`/_mock/faults`: list, add, remove and clear the faults that the mock is to produce."""

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.airbyte.faults import FaultRequest, Faults


def _faults(request: Request) -> Faults:
    faults: Faults = request.app.state.mock.faults
    return faults


async def list_(request: Request) -> Response:
    return JSONResponse([fault.model_dump(mode="json", exclude_none=True) for fault in _faults(request).all()])


async def add(request: Request) -> Response:
    try:
        wanted = FaultRequest.model_validate_json(await request.body())
    except ValidationError as error:
        said = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        return JSONResponse({"errors": said}, 422)
    return JSONResponse(_faults(request).add(wanted).model_dump(mode="json", exclude_none=True), 201)


async def clear(request: Request) -> Response:
    _faults(request).clear()
    return Response(status_code=204)


async def remove(request: Request) -> Response:
    return Response(status_code=204 if _faults(request).remove(request.path_params["faultId"]) else 404)


ROUTES: list[Route] = [
    Route("/faults", list_, methods=["GET"]),
    Route("/faults", add, methods=["POST"]),
    Route("/faults", clear, methods=["DELETE"]),
    Route("/faults/{faultId:int}", remove, methods=["DELETE"]),
]

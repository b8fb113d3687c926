"""Error responses: Airbyte's problem bodies, and those of Micronaut, its web framework."""

from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse

ERRORS = "https://reference.airbyte.com/reference/errors#"


class ApiError(Exception):
    """An error response. Any function that handles a request may raise it."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body)
        self.status = status
        self.body = body

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status)


def problem(status: int, title: str, detail: str, data: dict[str, Any] | None = None) -> ApiError:
    body = {"status": status, "type": ERRORS + title, "title": title, "detail": detail, "documentationUrl": None}
    return ApiError(status, body | {"data": data})


def not_found(kind: str, id_: object) -> ApiError:
    detail = "The requested resource could not be found."
    return problem(404, "resource-not-found", detail, {"resourceType": kind, "resourceId": str(id_)})


def try_again_later(connection_id: object) -> ApiError:
    data = {"message": f"A sync is already running for: {connection_id}"}
    return problem(409, "try-again-later", "Please try again later.", data)


def state_conflict(message: str) -> ApiError:
    detail = "The request conflicts with the resource's current state."
    return problem(409, "state-conflict", detail, {"message": message})


def unprocessable(message: str) -> ApiError:
    return problem(422, "unprocessable-entity", "The body of the request could not be processed.", {"message": message})


def forbidden(message: str) -> ApiError:
    return problem(403, "forbidden", "You don't have access to this resource.", {"message": message})


def not_implemented(operation: str) -> ApiError:
    message = f"The mock does not implement {operation}. docs/airbyte-operations.md lists what it implements."
    return problem(501, "not-implemented", "This operation is not implemented.", {"message": message})


def invalid(message: str) -> ApiError:
    return problem(400, "bad-request", "The request is not valid.", {"message": message})


def connection_locked() -> ApiError:
    return problem(409, "error:connection/locked", "The connection is locked.", {"message": "The connection is locked"})


def conflicting_destination(message: str) -> ApiError:
    detail = "Another connection writes to the same stream of the destination."
    return problem(409, "connection-conflicting-destination-stream", detail, {"message": message})


def tag_exists(name: str) -> ApiError:
    detail = "A tag with the same name exists in the workspace."
    return problem(409, "tag-already-exists", detail, {"message": f"Tag {name!r} already exists"})


def bad_request(path: str, message: str) -> ApiError:
    return _micronaut(400, "Bad Request", path, message)


def unauthorized(path: str) -> ApiError:
    return _micronaut(401, "Unauthorized", path, "Unauthorized")


def no_such_route(status: int, path: str) -> ApiError:
    """Answer 404 for an unknown path, and 405 for a method that the path does not support."""
    message, error = ("Not Found", "Page Not Found") if status == 404 else ("Method Not Allowed", "Method Not Allowed")
    return _micronaut(status, message, path, error)


def error_id(status: int) -> ApiError:
    return ApiError(status, {"errorId": str(uuid4())})


def _micronaut(status: int, message: str, path: str, error: str) -> ApiError:
    links = {"self": {"href": path, "templated": False}}
    return ApiError(status, {"message": message, "_links": links, "_embedded": {"errors": [{"message": error}]}})

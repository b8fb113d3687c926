"""Uploads of PUT. The emulator signs the URL of an upload for the client that ran the PUT."""

import hashlib
import hmac
import json
import secrets
from pathlib import Path
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

UPLOADS = "/fs_bucket/"
MAX_BYTES = 5_000_000_000
"""The same limit as Amazon S3 has for one request."""


class Uploads:
    """Stores uploads in `folder`, under the paths of fakesnow's stages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._key = secrets.token_bytes(32)
        self.route = Route(f"{UPLOADS}{{path:path}}", self.take, methods=["PUT"])

    def signed(self, response: JSONResponse) -> JSONResponse:
        """Sign the upload URL in the response to a PUT. Return any other response unchanged."""
        if b'"presignedUrl"' not in response.body:
            return response
        answer = json.loads(bytes(response.body))
        stage = (answer.get("data") or {}).get("stageInfo") or {}
        if not (url := stage.get("presignedUrl")):
            return response
        stage["presignedUrl"] = f"{url}?signature={self._signature(unquote(url.partition(UPLOADS)[2]))}"
        return JSONResponse(answer)

    async def take(self, request: Request) -> Response:
        """Write the body to the file that the path names, chunk by chunk."""
        path = request.path_params["path"]
        if not hmac.compare_digest(self._signature(path), request.query_params.get("signature", "")):
            return JSONResponse({"message": "The upload's URL has no valid signature. Run the PUT again."}, 403)
        target = Path(self._folder, path).resolve()
        if not target.is_relative_to(self._folder.resolve()):
            return JSONResponse({"message": "The upload's path is outside of the stages."}, 400)
        partial = self._folder.parent / f"upload-{secrets.token_hex(8)}"
        try:
            if not await _written(request, partial):
                return JSONResponse({"message": "An upload is limited to 5 GB."}, 413, {"Connection": "close"})
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return Response()

    def _signature(self, path: str) -> str:
        return hmac.new(self._key, path.encode(), hashlib.sha256).hexdigest()


async def _written(request: Request, file: Path) -> bool:
    """Write the body to a file; return False if it is too large."""
    size = 0
    with file.open("wb") as out:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BYTES:
                return False
            out.write(chunk)
    return True

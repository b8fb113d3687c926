"""PUT's uploads: a file goes into a stage by the URL that the emulator signed for whoever ran the PUT."""

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
"""As Amazon S3 takes in one request."""


class Uploads:
    """Takes uploads into `folder`, whose paths are those of fakesnow's stages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._key = secrets.token_bytes(32)
        self.route = Route(f"{UPLOADS}{{path:path}}", self.take, methods=["PUT"])

    def signed(self, response: JSONResponse) -> JSONResponse:
        """Sign the upload's URL in the answer to a PUT; any other answer stays as it is."""
        if b'"presignedUrl"' not in response.body:
            return response
        answer = json.loads(bytes(response.body))
        stage = (answer.get("data") or {}).get("stageInfo") or {}
        if not (url := stage.get("presignedUrl")):
            return response
        stage["presignedUrl"] = f"{url}?signature={self._signature(unquote(url.partition(UPLOADS)[2]))}"
        return JSONResponse(answer)

    async def take(self, request: Request) -> Response:
        """Write the body, as it comes, to the file that the path names."""
        path = request.path_params["path"]
        if not hmac.compare_digest(self._signature(path), request.query_params.get("signature", "")):
            return JSONResponse({"message": "The upload's URL is not one that a PUT of this server returned."}, 403)
        target = Path(self._folder, path).resolve()
        if not target.is_relative_to(self._folder.resolve()):
            return JSONResponse({"message": "The upload's path leads out of the stages."}, 400)
        partial = self._folder.parent / f"upload-{secrets.token_hex(8)}"
        try:
            if not await _written(request, partial):
                return JSONResponse({"message": "An upload has at most 5 GB."}, 413, {"Connection": "close"})
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return Response()

    def _signature(self, path: str) -> str:
        return hmac.new(self._key, path.encode(), hashlib.sha256).hexdigest()


async def _written(request: Request, file: Path) -> bool:
    """Write the body to a file; False if it is too large."""
    size = 0
    with file.open("wb") as out:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BYTES:
                return False
            out.write(chunk)
    return True

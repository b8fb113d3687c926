"""Puts the guard in front of LocalStack's gateway, which otherwise accepts any Host and requests from any web page.

LocalStack runs this in its own process before it is ready. docker-compose.yml mounts `services.guard`.
"""

import os
import sys
from typing import Any

from localstack.runtime import get_current_runtime

sys.path.insert(0, "/opt/platform")
from services.guard.rules import SECURITY_HEADERS, Rules, is_cors, join_headers, names

# S3's clients send bodies of any type, so only Host, Origin and Sec-Fetch-Site decide.
PROXIES = os.environ.get("GUARD_ALLOWED_HOSTS", "")
HOSTS = f"{os.environ['GUARD_NAMES']},{PROXIES}"
RULES = Rules(names(HOSTS), names(PROXIES), buckets=True, json_only=False)


def refuse(chain: Any, context: Any, response: Any) -> None:
    """Reject a request that the guard does not allow. This is the first handler of a request."""
    request = context.request
    if refused := RULES.refusal(request.method, request.path, join_headers(request.headers.items())):
        response.status_code = refused.status
        response.set_response(refused.message.encode())
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
        chain.terminate()


def close_to_others(_chain: Any, _context: Any, response: Any) -> None:
    """Remove CORS headers, and add the guard's headers. This is the last handler of an answer."""
    for name in [name for name, _ in response.headers.items() if is_cors(name)]:
        del response.headers[name]
    response.headers.update(SECURITY_HEADERS)


gateway = get_current_runtime().components.gateway
gateway.request_handlers.insert(0, refuse)
gateway.finalizers.append(close_to_others)

"""What a page from elsewhere is answered on the ports that the platform publishes."""

import httpx

from services.testing import Platform
from tests.integration.web.servers import FOREIGN

PATHS = {
    "prefect": ("/", "/api/admin/version", "/ui-settings", "/docs"),
    "airbyte": ("/", "/state.json", "/_mock/state", "/api/public/v1/health"),
    "s3": ("/", "/my-data-lake-landing", "/_localstack/health", "/_aws/sqs/messages", "/?Action=ListQueues"),
}


def answered(platform: Platform) -> list[tuple[str, str, dict[str, str], int]]:
    """Every request that a server took from a page from elsewhere: its method, URL, headers and status."""
    urls = {
        "prefect": platform.prefect_url,
        "airbyte": platform.airbyte_url.removesuffix("/api/public/v1"),
        "s3": platform.s3_url,
    }
    return [
        (method, urls[name] + path, headers, status)
        for name, paths in PATHS.items()
        for path in paths
        for method in ("GET", "POST", "OPTIONS")
        for headers in FOREIGN
        if (status := _status(method, urls[name] + path, headers)) not in (403, 421)
    ]


def _status(method: str, url: str, headers: dict[str, str]) -> int:
    answer = httpx.request(method, url, headers=headers, trust_env=False, timeout=60)
    assert [name for name in answer.headers if name.startswith("access-control-")] == []
    return answer.status_code

"""Call endpoints of Prefect's API that its client has no method for, and read lists page by page."""

from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import SyncPrefectClient

PAGE = 200
"""The largest page that Prefect returns."""


def ask(client: SyncPrefectClient, method: str, path: str, body: Any) -> Any:
    """Return the server's JSON answer; None if it has no content."""
    answer = client.request(method, path, json=body)  # type: ignore[arg-type]
    return answer.json() if answer.content else None


def pages(client: SyncPrefectClient, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield everything that a filter finds."""
    offset = 0
    while True:
        page = ask(client, "POST", path, {**body, "limit": PAGE, "offset": offset})
        yield from page
        if len(page) < PAGE:
            return
        offset += PAGE

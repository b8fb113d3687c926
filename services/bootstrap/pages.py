"""A Prefect server's API where Prefect's client has no method: JSON in, JSON out, and lists page by page."""

from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import SyncPrefectClient

PAGE = 200
"""The most that Prefect gives at once."""


def ask(client: SyncPrefectClient, method: str, path: str, body: Any) -> Any:
    """The server's answer; None where it has no content."""
    answer = client.request(method, path, json=body)  # type: ignore[arg-type]
    return answer.json() if answer.content else None


def pages(client: SyncPrefectClient, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything that a filter finds."""
    offset = 0
    while True:
        page = ask(client, "POST", path, {**body, "limit": PAGE, "offset": offset})
        yield from page
        if len(page) < PAGE:
            return
        offset += PAGE

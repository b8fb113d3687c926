"""People get a page of what goes on and the API's reference, with no other host involved."""

import re
from collections.abc import Iterable, Iterator
from typing import cast

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from services.airbyte.operations import OPERATIONS
from tests.integration.airbyte.running_mock import V1, Landing, Mock, Start


def test_the_pages_load_nothing_from_elsewhere(mock: Mock) -> None:
    for path in ("/", "/docs"):
        text = mock.http.get(path).text
        assert not re.findall(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=|@import|url\(|fetch\("http""", text)


def test_the_page_shows_connections_jobs_rows_and_faults(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv", "id,name\n7,shop\n")
    job_id = mock.sync()["jobId"]
    mock.fault(kind="fail")
    page, shown = mock.http.get("/").text, mock.http.get("/state.json").json()
    assert '"/state.json"' in page
    assert (shown["jobs"][0]["jobId"], shown["jobs"][0]["rowsSynced"]) == (job_id, 1)
    assert [connection["name"] for connection in shown["connections"]] == ["Shop to lake"]
    assert [fault["kind"] for fault in shown["faults"]] == ["fail"]


def test_every_fault_that_the_page_offers_is_one_that_the_mock_takes(mock: Mock) -> None:
    ready = re.findall(r'": \{(kind: .*)\},$', mock.http.get("/").text, re.MULTILINE)
    assert len(ready) > 5
    for fault in ready:
        mock.fault(
            **{name: int(v) if v.isdigit() else v.strip('"') for name, v in re.findall(r'(\w+): ("?\w+"?)', fault)}
        )


@pytest.mark.parametrize("faults", [True, False])
def test_with_credentials_configured_every_route_needs_them_but_health_and_token(start: Start, faults: bool) -> None:
    with start(client_id="me", client_secret="s3cret", faults=faults) as mock:
        routes = list(endpoints(cast(Starlette, mock.http.app).routes))
        assert len(routes) > 100
        for method, path in routes:
            answer = mock.http.request(method, path)
            open_ = path.rstrip("/").endswith(("/health", "/applications/token"))
            assert (answer.status_code == 401) != open_, (method, path)
        headers = {"Authorization": f"Bearer {token(mock)}"}
        assert mock.http.get("/state.json", headers=headers).status_code == 200
        assert mock.http.get("/_mock/state", headers=headers).status_code == (200 if faults else 404)


def endpoints(routes: Iterable[BaseRoute], below: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of each route, with something in place of its parameters."""
    for route in routes:
        if isinstance(route, Mount):
            yield from endpoints(route.routes, below + route.path)
        elif isinstance(route, Route):
            path = below + re.sub(r"{\w+(:\w+)?}", "1", route.path)
            yield from ((method, path) for method in sorted(route.methods or ()))


def token(mock: Mock) -> str:
    answer = mock.http.post("/applications/token", json={"client_id": "me", "client_secret": "s3cret"})
    return str(answer.json()["access_token"])


def test_a_browser_asks_for_the_credentials_and_then_shows_the_page(start: Start) -> None:
    with start(client_id="me", client_secret="s3cret") as mock:
        assert mock.http.get("/").headers["www-authenticate"].startswith("Basic ")
        for path in ("/", "/state.json", "/docs", "/_mock/faults"):
            assert mock.http.get(path, auth=("me", "s3cret")).status_code == 200
            for wrong in (("me", "x"), ("x", "s3cret"), ("", "")):
                assert mock.http.get(path, auth=wrong).status_code == 401
        for header in ("Basic", "Basic !", "Basic w6Q=", "Bearer bWU6czNjcmV0"):
            assert mock.http.get("/", headers={"Authorization": header}).status_code == 401
        assert mock.http.get(f"{V1}/jobs", auth=("me", "s3cret")).status_code == 401  # as Airbyte itself


def test_the_reference_has_every_operation_and_the_documents_licence(mock: Mock) -> None:
    text = mock.http.get("/docs").text
    assert [o.name for o in OPERATIONS if f'<details id="{o.name}">' not in text] == []
    assert "Elastic License 2.0" in mock.http.get("/openapi-license.txt").text
    assert mock.http.get("/openapi.yaml").text.count("operationId:") == len(OPERATIONS)

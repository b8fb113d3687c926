"""What a person looks at loads nothing from other machines."""

import re

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from services.prefect_app import create_app

FOREIGN = re.compile(r"""(?:src|href|url)\W{1,3}["']((?:https?:)?//[^"']+)""")


@pytest.fixture(scope="module")
def server() -> FastAPI:
    return create_app()


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_of_prefects_api_needs_no_cdn(server: FastAPI, path: str) -> None:
    client = TestClient(server)
    page = client.get(path)
    assert page.status_code == 200
    assert FOREIGN.findall(page.text) == []
    own = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert own
    assert {client.get(each).status_code for each in own} == {200}


def test_the_documentation_is_that_of_prefects_own_api(server: FastAPI) -> None:
    assert "/flow_runs/filter" in TestClient(server).get("/openapi.json").json()["paths"]

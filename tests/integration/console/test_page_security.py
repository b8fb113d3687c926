"""Whom the page answers, with which headers, and what an error's page shows."""

import base64
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from pydantic import SecretStr
from starlette.testclient import TestClient

from services.console.app import create_app
from tests.integration.console.pages import Seen, seen


def test_what_the_page_cannot_show_is_said_in_a_sentence_with_security_headers(page: Seen) -> None:
    page.publish()
    (page.folder / "published" / "warehouse.duckdb").write_text("damaged")
    web = TestClient(create_app(page.page), base_url="http://127.0.0.1:8300", raise_server_exceptions=False)
    for method, path, status in (
        ("GET", "/", 500),
        ("POST", "/", 405),
        ("GET", "/none", 404),
        ("GET", "/static/x", 404),
    ):
        answer = web.request(method, path)
        assert answer.status_code == status
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "Traceback" not in answer.text
    assert "warehouse.duckdb is damaged" in web.get("/").text


def test_every_answer_has_security_headers_and_names_no_other_host(page: Seen) -> None:
    page.publish()
    for path in ("/", "/tests", "/sql", "/tables/main.flights", "/none"):
        answer = page.web.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert 'src="http' not in answer.text
        assert len(answer.content) < 200_000


def test_the_page_asks_for_the_login_of_prefects_server(client: SyncPrefectClient, tmp_path: Path) -> None:
    page = seen(str(client.api_url), tmp_path, api_auth_string=SecretStr("ann:pass:word"))
    assert page.web.get("/").status_code == 401
    assert page.web.get("/static/page.css").status_code == 401
    assert page.web.get("/health").status_code == 200
    for wrong in ("ann:pass", "", "é:ü"):
        assert page.web.get("/", headers=basic(wrong)).status_code == 401
    answer = page.web.get("/", headers=basic("ann:pass:word"))
    assert answer.status_code == 200
    assert "pass:word" not in answer.text


def basic(login: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def test_the_ready_made_pages_reach_no_address_at_all_and_are_not_there_before_a_publication(page: Seen) -> None:
    assert page.web.get("/ready-made/docs").status_code == 404
    assert "dbt docs" not in page.get("/")
    folder = page.folder / "published" / "docs"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<p>docs</p>")
    answer = page.web.get("/ready-made/docs")
    assert answer.text == "<p>docs</p>"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src data: blob:;" in policy
    assert policy.endswith("sandbox allow-scripts")
    assert "/ready-made/docs" in page.get("/")
    assert page.web.get("/ready-made/../../secret").status_code == 404
    assert page.web.get("/ready-made/anything").status_code == 404

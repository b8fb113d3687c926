"""No server of the platform answers a page from elsewhere; each goes on answering its clients."""

import gzip
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.web.servers import CALLS, FOREIGN, JSON, Call

SERVERS = sorted(CALLS)
EVERY = [pytest.param(name, call, id=f"{name}-{call.method}-{call.path}") for name in SERVERS for call in CALLS[name]]
LIMITED = {
    "prefect": "/api/flows/",
    "airbyte": "/api/public/v1/jobs",
    "snowflake": "/session/v1/login-request",
}


@pytest.mark.parametrize(("name", "call"), EVERY)
def test_a_client_is_answered_and_a_page_from_elsewhere_is_not(urls: dict[str, str], name: str, call: Call) -> None:
    answer = call.of(urls[name], {})
    assert answer.status_code < 300, answer.text
    assert [header for header in answer.headers if header.startswith("access-control-")] == []
    for headers in FOREIGN:
        refused = call.of(urls[name], headers)
        assert refused.status_code in (403, 421), headers
        assert [header for header in refused.headers if header.startswith("access-control-")] == []


@pytest.mark.parametrize("name", SERVERS)
def test_a_preflight_from_elsewhere_is_refused(urls: dict[str, str], name: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Private-Network": "true"}
    answer = httpx.options(urls[name], headers={"Origin": "http://evil.test", **asked}, trust_env=False)
    assert answer.status_code == 403
    assert [header for header in answer.headers if header.startswith("access-control-")] == []


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_form_can_send_changes_nothing_but_on_s3(urls: dict[str, str], name: str, kind: str) -> None:
    for call in CALLS[name]:
        if call.method == "POST" and name != "s3":
            assert call.of(urls[name], {"Content-Type": kind}).status_code == 415


def test_the_ui_calls_the_address_that_it_was_loaded_from(urls: dict[str, str]) -> None:
    page = {"Origin": urls["prefect"], "Sec-Fetch-Site": "same-origin"}
    assert httpx.post(f"{urls['prefect']}/api/flows/filter", json={}, headers=page, trust_env=False).status_code == 200


def test_prefects_websockets_are_closed_to_pages_from_elsewhere(urls: dict[str, str]) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/api/events/in", "/api/events/out", "/api/logs/out"):
        for headers in FOREIGN:
            answer = httpx.get(urls["prefect"] + path, headers={**upgrade, **headers}, trust_env=False)
            assert answer.status_code == 403


@pytest.mark.parametrize("name", sorted(LIMITED))
def test_a_body_without_end_and_a_gzip_bomb_are_refused_before_any_login(urls: dict[str, str], name: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(60):
            yield b" " * 1_000_000

    url = urls[name] + LIMITED[name]
    assert httpx.post(url, content=endless(), headers=JSON, timeout=60, trust_env=False).status_code == 413
    bomb = gzip.compress(b" " * 100_000_000)
    coded = {**JSON, "Content-Encoding": "gzip"}
    assert httpx.post(url, content=bomb, headers=coded, timeout=60, trust_env=False).status_code == 413
    assert httpx.post(url, content="[" * 1_000_000, headers=JSON, timeout=60, trust_env=False).status_code < 500
    assert CALLS[name][0].of(urls[name], {}).status_code == 200

"""Which requests a server answers, by the headers that browsers send of themselves."""

from typing import Any

import pytest

from services.guard.rules import Rules, join_headers, names
from services.guard.settings import GuardSettings

OWN = {"host": "127.0.0.1:4200"}
FOREIGN = [
    {"origin": "http://evil.test"},
    {"origin": "http://127.0.0.1:4201"},
    {"origin": "http://localhost:4200"},
    {"origin": "https://127.0.0.1.evil.test:4200"},
    {"origin": "http://127.0.0.1:4200@evil.test"},
    {"origin": "http://127.0.0.1:4200, http://evil.test"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "file://"},
    {"origin": "chrome-extension://127.0.0.1:4200"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:4200"},
    {"sec-fetch-site": "same-origin, cross-site"},
]
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def status(rules: Rules, method: str = "GET", path: str = "/", local: str = "", **headers: str) -> int | None:
    refused = rules.refusal(method, path, OWN | {k.replace("_", "-"): v for k, v in headers.items()}, local)
    return refused.status if refused else None


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("rules", [Rules(), Rules(pages=True), Rules(buckets=True, json_only=False)], ids=str)
def test_a_page_from_elsewhere_is_not_answered(rules: Rules, method: str, headers: dict[str, str]) -> None:
    assert status(rules, method, "/api/block_documents/filter", **headers) == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:1", "localhost:4200", "LOCALHOST", "localhost.:80", "[::1]:4200"]
)
def test_a_server_answers_to_the_names_of_this_machine_on_any_port(host: str) -> None:
    assert status(Rules(), host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:4200",
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "evil.localhost",
        "127.0.0.2",
        "0.0.0.0:4200",
        "10.0.0.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "user@127.0.0.1",
        "127.0.0.1:4200, evil.test",
        "127.0.0.1 evil.test",
        "",
    ],
)
def test_a_server_does_not_answer_to_a_name_that_is_not_its_own(host: str) -> None:
    assert status(Rules(), host=host) == 421


def test_a_server_answers_to_the_names_of_its_settings_and_to_the_address_that_it_was_reached_at() -> None:
    rules = Rules(names("prefect-server, Prefect.Example.com"))
    assert status(rules, host="prefect-server:4200") is None
    assert status(rules, host="prefect.example.com") is None
    assert status(rules, host="172.18.0.5:4200", local="172.18.0.5") is None
    assert status(rules, host="172.18.0.6:4200", local="172.18.0.5") == 421


def test_buckets_have_names_below_localhost_on_s3_alone() -> None:
    s3 = Rules(buckets=True, json_only=False)
    for host in ("landing.localhost:4566", "landing.s3.localhost.localstack.cloud:4566"):
        assert status(s3, host=host) is None
        assert status(Rules(), host=host) == 421
    assert status(s3, host="landing.evil.test") == 421


def test_the_servers_own_pages_are_answered() -> None:
    page = {"sec_fetch_site": "same-origin", "content_type": "application/json"}
    assert status(Rules(), "POST", origin="http://127.0.0.1:4200", **page) is None
    assert status(Rules(), "GET", sec_fetch_site="none") is None
    assert status(Rules(), "POST", host="localhost:4200", origin="http://localhost:4200", **page) is None


def test_pages_behind_a_proxy_are_the_servers_own() -> None:
    rules = Rules(names("prefect-server,prefect.example.com"), names("prefect.example.com"))
    assert status(rules, origin="https://prefect.example.com", host="prefect.example.com") is None
    assert status(rules, origin="https://prefect.example.com") is None  # the proxy has put its own Host
    assert status(rules, origin="https://prefect.example.com:8443") == 403
    assert status(rules, origin="https://evil.example.com") == 403
    assert status(rules, origin="http://prefect-server") == 403


def test_a_link_from_elsewhere_leads_to_a_page_for_people_and_to_nothing_else() -> None:
    assert status(Rules(pages=True), "GET", "/runs/flow-run/1", **LINK) is None
    assert status(Rules(pages=True), "POST", "/runs", content_type="application/json", **LINK) == 403
    assert status(Rules(pages=True), "GET", "/api/admin/version", **LINK) == 403
    assert status(Rules(), "GET", "/", **LINK) == 403


def test_an_old_browser_that_sends_a_referer_alone_is_known_by_it() -> None:
    assert status(Rules(), referer="http://evil.test/attack") == 403
    assert status(Rules(), referer="http://127.0.0.1:4200/runs") is None


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("POST", {"content_type": "application/json"}, None),
        ("POST", {"content_type": "application/json; charset=utf-8"}, None),
        ("PATCH", {"content_type": "application/merge-patch+json"}, None),
        ("POST", {}, None),
        ("POST", {"content_length": "0"}, None),
        ("DELETE", {}, None),
        ("POST", {"content_length": "2"}, 415),
        ("POST", {"transfer_encoding": "chunked"}, 415),
        ("POST", {"content_type": "text/plain"}, 415),
        ("PUT", {"content_type": "application/x-www-form-urlencoded"}, 415),
        ("POST", {"content_type": "multipart/form-data; boundary=application/json"}, 415),
        ("POST", {"content_type": "text/plain; application/json"}, 415),
        ("POST", {"content_type": "application/json, text/plain"}, 415),
        ("POST", {"content_type": ""}, 415),
        ("GET", {"content_type": "text/plain"}, None),
    ],
)
def test_a_call_that_may_change_something_sends_json(method: str, headers: Any, expected: int | None) -> None:
    assert status(Rules(), method, **headers) == expected
    assert status(Rules(json_only=False), method, **headers) is None


def test_paths_may_take_other_bodies() -> None:
    rules = Rules(other_types=r"/applications/token")
    form = {"content_type": "application/x-www-form-urlencoded"}
    assert status(rules, "POST", "/applications/token", **form) is None
    assert status(rules, "POST", "/applications/token/../jobs", **form) == 415
    assert status(rules, "POST", "/applications/token", origin="http://evil.test", **form) == 403


def test_a_header_that_is_sent_twice_has_both_values() -> None:
    assert join_headers([("Origin", "http://127.0.0.1:4200"), ("origin", "http://evil.test")]) == {
        "origin": "http://127.0.0.1:4200, http://evil.test"
    }


@pytest.mark.parametrize("value", ["abc", "-1", "0", "inf", "nan"])
def test_a_limit_that_is_no_size_is_refused_by_the_variables_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_MAX_BODY_MB", value)
    with pytest.raises(SystemExit, match=rf"GUARD_MAX_BODY_MB is '{value}'.*Correct it, or unset it"):
        GuardSettings()

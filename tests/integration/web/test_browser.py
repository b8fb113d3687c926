"""A page from elsewhere, in a real browser, reads and changes nothing; the platform's own pages work."""

from typing import Any

import httpx
import pytest

from tests.integration.web.browser import attacker, chromium, dom, visit
from tests.integration.web.servers import BUCKET, CALLS, KEY, client

CANARY = "canary-of-a-block"
ATTACKS = {
    "prefect": [("POST", "/api/flows/", '{"name": "attack"}'), ("GET", "/api/events/in", "")],
    "airbyte": [("DELETE", "/_mock/faults", "")],
    "s3": [("DELETE", f"/{BUCKET}/{KEY}", ""), ("PUT", f"/{BUCKET}/{KEY}", "a=b"), ("GET", f"/{BUCKET}/{KEY}", "")],
    "snowflake": [],
}


def calls(urls: dict[str, str]) -> list[dict[str, str]]:
    """Everything that is tried: what clients do, and worse."""
    tried = {name: {*ATTACKS[name], *((c.method, c.path, c.body) for c in CALLS[name])} for name in urls}
    return [
        {"method": method, "url": urls[name] + path, "body": body}
        for name in urls
        for method, path, body in sorted(tried[name])
    ]


def told(urls: dict[str, str]) -> dict[str, Any]:
    """What the attack is after: flows, blocks, faults, objects."""
    prefect = f"{urls['prefect']}/api"
    return {
        "flows": [each["name"] for each in ask(f"{prefect}/flows/filter")],
        "blocks": [each["name"] for each in ask(f"{prefect}/block_documents/filter")],
        "faults": httpx.get(f"{urls['airbyte']}/_mock/faults", trust_env=False).json(),
        "objects": {
            each["Key"]: each["ETag"] for each in client(urls["s3"]).list_objects_v2(Bucket=BUCKET)["Contents"]
        },
    }


def ask(url: str) -> Any:
    return httpx.post(url, json={}, trust_env=False).raise_for_status().json()


@pytest.fixture(scope="module")
def secret(urls: dict[str, str]) -> None:
    """A block with a secret on the Prefect server, and a fault in force."""
    from prefect.blocks.system import Secret

    Secret(value=CANARY).save("canary", overwrite=True)
    httpx.post(f"{urls['airbyte']}/_mock/faults", json={"kind": "fail", "times": 1}, trust_env=False)


@pytest.mark.parametrize("host", [pytest.param("127.0.0.1", marks=pytest.mark.exhaustive), "evil.test"])
def test_a_page_from_elsewhere_reads_and_changes_nothing(urls: dict[str, str], secret: None, host: str) -> None:
    chromium()
    before = told(urls)
    assert before["faults"]
    with attacker(calls(urls)) as server:
        visit(server, host)
    assert server.report == []
    assert told(urls) == before


def test_the_same_page_reads_and_changes_what_is_not_guarded() -> None:
    """Else the browser, and not the guard, would have kept it from all that."""
    chromium()
    with attacker([]) as unguarded, attacker([]) as server:
        server.calls.append({"method": "POST", "url": f"http://127.0.0.1:{unguarded.server_port}/open", "body": "a=b"})
        visit(server, "evil.test")
    assert {"cors", "redirected, to be read"} <= {each["how"] for each in server.report}
    sent = [(method, body.strip()) for method, path, body in unguarded.received if path == "/open"]
    assert sent.count(("POST", "a=b")) >= 8
    assert ("GET", "") in sent


@pytest.mark.parametrize(
    "name",
    ["prefect", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in sorted(CALLS) if name != "prefect")],
)
def test_a_name_that_an_attacker_points_to_this_machine_shows_nothing(urls: dict[str, str], name: str) -> None:
    rebound = urls[name].replace("127.0.0.1", "evil.test")
    path = next(call.path for call in CALLS[name] if call.method == "GET")
    assert "does not answer to the name" in dom(rebound + path)


def test_prefects_own_pages_work(urls: dict[str, str], secret: None) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert "canary" in dom(f"{urls['prefect'].replace('127.0.0.1', host)}/blocks", 20_000)


def test_the_mocks_own_page_works(urls: dict[str, str]) -> None:
    assert "Landing to the raw lake" in dom(urls["airbyte"])

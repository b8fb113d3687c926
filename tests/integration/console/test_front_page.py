"""What the front page says of the platform: its parts, loads, tests and incidents."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from blocks.incidents import LOOKED, Incident, IncidentStore, State
from blocks.names import Names
from blocks.settings import Settings
from services.bootstrap.pages import ask
from services.console import app, facts
from services.console.app import leads
from services.watch.prefect_api import NoAnswer
from tests.integration.console.pages import Seen, artifact, seen, throw

GATE = {"added": "gate", "removed": ""}


def tell_of_a_test(client: SyncPrefectClient, status: str) -> None:
    said = "Got 3 results" if status == "fail" else ""
    row = {"name": "unique_flights", "resource_type": "test", "status": status, "message": said}
    artifact(client, "dbt-results", [row])


def test_what_is_not_known_yet_is_not_called_missing_and_what_was_known_is_shown_with_its_time(
    client: SyncPrefectClient, page: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as down:
        down.setattr(page.page.prefect, "check", lambda: throw(NoAnswer("It is away.")))
        text = page.get("/")
        assert "Unknown: Prefect does not answer." in text
        assert not re.search("No sync yet|None yet|never", text)
    page.page.facts.names = Names("away")
    rows = [{"name": "known_test", "resource_type": "test", "status": "pass", "message": ""}]
    body = {"key": Names("away").artifact("dbt-results"), "type": "table", "data": json.dumps(rows)}
    ask(client, "POST", "/artifacts/", body)
    assert "known_test" in page.get("/tests")
    monkeypatch.setattr(page.page.prefect, "check", lambda: throw(NoAnswer("It is away.")))
    page.page.facts._last = replace(page.page.facts._last, at=datetime.fromtimestamp(0, UTC))
    text = page.web.get("/tests").text
    assert "known_test" in text
    assert "The facts below are from" in text


def test_an_empty_platform_says_what_it_is_and_what_to_type(page: Seen) -> None:
    text = page.get("/")
    assert "Nothing is published yet" in text
    assert "Files land in S3" in text
    assert "make run FLOW=full_pipeline" in text
    for path in ("/", "/sql"):
        assert "No sources yet: <code>make source FILE=orders.csv</code>" in page.get(path)


def test_beside_make_dev_the_page_names_commands_that_work_without_docker(
    client: SyncPrefectClient, tmp_path: Path
) -> None:
    page = seen(str(client.api_url), tmp_path, profile="")
    page.publish()
    for path in ("/", "/sql", "/tests", "/tables/main.flights"):
        text = page.get(path)
        assert f"<code>. {page.page.settings.alerts_dir.parent}/env</code>" in text
        assert not re.search(r"make up\b|docker", text)


def test_skipped_tests_and_failed_models_are_not_counted_as_passed(client: SyncPrefectClient, page: Seen) -> None:
    page.page.facts.names = Names("skipping")
    rows = [{"name": "fct", "resource_type": "model", "status": "error", "message": "no"}]
    rows += [{"name": f"t{n}", "resource_type": "test", "status": "skipped", "message": ""} for n in range(2)]
    body = {"key": Names("skipping").artifact("dbt-results"), "type": "table", "data": json.dumps(rows)}
    ask(client, "POST", "/artifacts/", body)
    text = " ".join(page.get("/tests").split())
    assert "1 model failed,</span> 0 tests passed, 2 skipped" in text


def test_a_failing_test_appears_with_its_history_and_clears(client: SyncPrefectClient, page: Seen) -> None:
    tell_of_a_test(client, "pass")
    tell_of_a_test(client, "fail")
    text = page.get("/")
    assert "unique_flights" in text
    assert "Got 3 results" in text
    assert "1 pass, 1 fail" in page.get("/tests")
    assert "since" not in page.get("/tests")
    tell_of_a_test(client, "fail")
    assert re.search(r"fail<div[^>]*>since \d+ s ago", page.get("/tests"))
    tell_of_a_test(client, "pass")
    assert "unique_flights" not in page.get("/")
    assert "2 pass, 2 fail" in page.get("/tests")


def test_a_failing_test_clears_when_the_project_no_longer_has_it(client: SyncPrefectClient, page: Seen) -> None:
    manifest = page.folder / "published" / "docs" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    told = {part: {} for part in ("nodes", "sources", "exposures", "unit_tests", "parent_map", "child_map")}
    manifest.write_text(json.dumps(told))
    tell_of_a_test(client, "fail")  # a new test, whose failure kept the docs from being written anew
    assert "unique_flights" in page.get("/")
    manifest.write_text(json.dumps(told))
    assert "unique_flights" not in page.get("/")


def test_an_incident_is_shown_with_what_to_type_and_a_silent_watch_is_one(page: Seen) -> None:
    now = datetime.now(UTC)
    incident = Incident(
        key="batch_parked/x", kind="batch_parked", what="A batch <b> is parked.", since=now, impact="Rows are missing.",
        where="make status", command="make cursor", evidence={"batch s3/x abc123": "2"},
    )  # fmt: skip
    store = IncidentStore(page.folder / "alerts")
    store.save(State(began=now, looked=now, incidents={incident.key: incident}))
    (page.folder / "alerts" / LOOKED).touch()
    text = page.get("/")
    assert "A batch &lt;b&gt; is parked." in text
    store.save(State(began=now, looked=now - timedelta(minutes=5)))
    assert "The watch has not checked the platform since" in page.get("/")


def test_each_part_of_the_path_says_where_it_leads_without_a_login(page: Seen) -> None:
    text = page.get("/")
    for place in ("s3://my-data-lake-landing/inbound/", "http://localhost:8006/api/public/v1", "data/lake"):
        assert place in text
    told = leads(Settings(s3_endpoint_url="http://ann:word@s3.example:9000"))
    assert told["landing"] == "s3://my-data-lake-landing/inbound/ at http://s3.example:9000"


def test_a_versions_diff_a_sources_age_and_a_streams_rows_are_shown(client: SyncPrefectClient, page: Seen) -> None:
    loaded = (datetime.now(UTC) - timedelta(hours=30)).isoformat()
    artifact(
        client, "freshness", [{"source": "raw.flights", "status": "error", "loaded_at": loaded, "limit_hours": 25}]
    )
    artifact(
        client,
        "row-counts",
        [{"stream": "flights", "job": 7, "in the files": 12, "rejected": 1, "all of raw": 13, "in staging": 11}],
    )
    mine = {"stream": "mine", "job": 8, "in the files": 3, "rejected": 0, "all of raw": "not counted", "in staging": ""}
    artifact(client, "row-counts", [mine])
    artifact(client, "row-counts", [{**mine, "in the files": 4}])
    artifact(client, "row-counts", [{**mine, "in the files": 0}])
    syncs = [{"connection": each, "job": 7, "stream": "(all)", "rows": 1_000} for each in ("a", "b")]
    artifact(client, "airbyte-sync", syncs)
    artifact(client, "published-tables", [{"table": "main.flights", "rows": 12, "before": 10, "columns": 2, **GATE}])
    text = " ".join(page.get("/").split())
    assert "10 → 12 rows (+2), new columns gate" in text
    assert "30 h ago" in text
    assert "120 % of 25 h" in text
    assert re.search(r">raw\.mine</th>.*?no threshold", text)
    artifact(
        client, "freshness", [{"source": "raw.flights", "status": "error", "loaded_at": loaded, "limit_hours": 0.05}]
    )
    assert "% of 3 min" in page.get("/")
    assert "<b>13 <span" in text
    assert "<b>2,000 <span" in text
    assert "not counted" in text
    assert re.findall(r'data-label="(last 24 h|in the load)"[^>]*>(\d+)<', text) == [
        ("last 24 h", "12"), ("in the load", "12"), ("last 24 h", "7"), ("in the load", "4"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "marked"), [("worker_gone", "Prefect"), ("run_failed", ""), ("batch_parked", "Landing")]
)
def test_an_incident_marks_the_part_that_it_is_about(page: Seen, kind: str, marked: str) -> None:
    now = datetime.now(UTC)
    incident = Incident(key=f"{kind}/x", kind=kind, what="W", since=now, opened=now, impact="I", where="", command="c",
                        advice="", probe="p")  # fmt: skip
    IncidentStore(page.folder / "alerts").save(State(began=now, looked=now, incidents={incident.key: incident}))
    page.page.facts.names = Names("healthy")
    text = re.sub("<[^>]*>", "", " ".join(page.get("/").split()))
    assert re.findall(r"(\w+) ✕ problem", text) == ([marked] if marked else [])


def test_a_prefect_server_that_does_not_answer_leaves_the_tables_and_says_so(tmp_path: Path) -> None:
    page = seen("http://127.0.0.1:9/api", tmp_path)
    page.publish()
    text = page.get("/")
    assert "Prefect&#39;s server does not answer" in text or "Prefect's server does not answer" in text
    assert "main.flights" in text


def test_json_of_an_artifact_that_is_none_is_no_row() -> None:
    assert facts.rows({"data": json.dumps(["text", {"a": 1}])}) == [{"a": 1}]


def test_in_an_incident_only_prefects_own_address_is_a_link() -> None:
    where = "run a www.evil.example/login b.csv, http://127.0.0.1:4200/runs/flow-run/1"
    link = '<a href="http://127.0.0.1:4200/runs/flow-run/1">http://127.0.0.1:4200/runs/flow-run/1</a>'
    assert app.leading(where, "http://127.0.0.1:4200/") == f"run a www.evil.example/login b.csv, {link}"
    assert app.leading("<b>", "Prefect's UI, /") == "&lt;b&gt;"


def test_the_parts_of_a_platform_in_docker_are_shown_with_their_addresses_on_this_machine() -> None:
    told = leads(Settings(s3_endpoint_url="http://localstack:4566"), "http://127.0.0.1:4567", "http://127.0.0.1:8007/")
    assert told["landing"].endswith(" at http://127.0.0.1:4567")
    assert told["sync"] == "http://127.0.0.1:8007/"

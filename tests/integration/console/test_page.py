"""The page, on a real Prefect server and a published file: what it shows, and whom it answers."""

import base64
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import duckdb
import httpx
import pytest
import uvicorn
from prefect import flow, get_client
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import Pending, Scheduled
from pydantic import SecretStr
from starlette.testclient import TestClient

from blocks import published
from blocks.airbyte.errors import SyncFailed
from blocks.batches import OthersFailed
from blocks.incidents import LOOKED, Incident, IncidentStore, State
from blocks.names import Names
from blocks.published import SECONDS
from blocks.settings import PrefectServer, Settings
from services.bootstrap.pages import ask
from services.console import app, facts
from services.console.app import AT_ONCE, Page, create_app, leads
from services.console.data import Table
from services.watch.prefect_api import NoAnswer, Prefect
from tests.integration.servers import serving

NAMES = Names("paged")
GATE = {"added": "gate", "removed": ""}


@pytest.fixture(scope="module")
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


class Seen(SimpleNamespace):
    """A page and what it is made of."""

    page: Page
    web: TestClient
    folder: Path

    def get(self, path: str) -> str:
        self.page.facts._last = facts.Snapshot(datetime.fromtimestamp(0, UTC))
        answer = self.web.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def publish(self, table: str = "flights") -> None:
        file = self.folder / "published" / "warehouse.duckdb"
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"create table {table} as select date '2013-01-01' + i::int as day, i / 2 as delay, "
                               "'s3://b/in.csv' as _ab_source_file_url from range(5) t(i)")  # fmt: skip


def seen(url: str, folder: Path, dbt_target: str = "dev", profile: str = "trial", **server: SecretStr) -> Seen:
    settings = Settings(
        published_path=folder / "published" / "warehouse.duckdb", alerts_dir=folder / "alerts", dbt_target=dbt_target
    )
    settings.alerts_dir.mkdir(exist_ok=True)
    page = Page(Prefect(PrefectServer(api_url=url, **server)), settings, NAMES, profile)
    web = TestClient(create_app(page), base_url="http://127.0.0.1:8300")
    return Seen(page=page, web=web, folder=folder)


@pytest.fixture
def page(client: SyncPrefectClient, tmp_path: Path) -> Seen:
    return seen(str(client.api_url), tmp_path)


def throw(error: Exception) -> NoReturn:
    raise error


def artifact(client: SyncPrefectClient, key: str, rows: list[dict[str, object]]) -> None:
    body = {"key": NAMES.artifact(key), "type": "table", "data": json.dumps(rows)}
    ask(client, "POST", "/artifacts/", body)


def tell_of_a_test(client: SyncPrefectClient, status: str) -> None:
    said = "Got 3 results" if status == "fail" else ""
    row = {"name": "unique_flights", "resource_type": "test", "status": status, "message": said}
    artifact(client, "dbt-results", [row])


def test_pages_that_are_asked_for_at_once_are_all_shown(page: Seen) -> None:
    page.publish()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(page.web.get, ["/", "/tables/main.flights", "/sql"] * 10))
    assert {each.status_code for each in answers} == {200}
    assert not any("configuration" in each.text for each in answers)
    assert page.get("/tables/main.flights").count('class="plot"') == 1


def test_a_failure_to_read_a_table_is_not_kept(page: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    page.publish()
    with monkeypatch.context() as broken:
        broken.setattr(published, "fenced", lambda *_, **__: throw(duckdb.OutOfMemoryException("no")))
        broken.setattr(page.page, "tables", lambda: [Table("main.flights", 5, 3)])
        assert "more memory" in page.get("/tables/main.flights")
    assert 'class="plot"' in page.get("/tables/main.flights")


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


def test_commands_in_what_people_wrote_stay_as_they_are(client: SyncPrefectClient, tmp_path: Path) -> None:
    page = seen(str(client.api_url), tmp_path, profile="")
    page.publish()
    typed = "select 'make sql Q=1' as a, 'make up' as b"
    text = page.web.post("/sql", data={"q": typed}).text
    assert text.count("make sql Q=1") == text.count("make up") == 2


def test_an_answer_of_any_size_makes_a_page_of_less_than_200_kb(page: Seen) -> None:
    page.publish()
    columns = ", ".join(f"repeat('<', 200) as c{n}" for n in range(10))
    many = ", ".join(f"{n} as c{n}" for n in range(3000))
    for sql in (f"select {columns} from range(1000)", f"select {many}", f"select 1 as {'x' * 25_000}"):
        answer = page.web.post("/sql", data={"q": sql})
        assert len(answer.content) < 200_000
    assert "at most 100 columns" in page.web.post("/sql", data={"q": f"select {many}"}).text


def test_a_file_of_rows_that_are_not_all_is_called_so(page: Seen) -> None:
    page.publish()
    answer = page.web.post("/sql", data={"q": "from range(20000)", "as": "csv"})
    assert "first-10000-rows.csv" in answer.headers["content-disposition"]


def test_a_test_is_said_to_use_the_columns_that_it_looks_at_alone(page: Seen) -> None:
    page.publish()
    model = {"schema": "main", "alias": "flights", "name": "flights", "description": "", "config": {},
             "columns": {}, "raw_code": "select 1"}  # fmt: skip
    told = {"model": "ref('late')", "column_name": "delay", "to": "ref('flights')", "field": "day"}
    test = {"name": "relationships_late", "attached_node": "model.t.late", "test_metadata": {"kwargs": told}}
    manifest = {"nodes": {"model.t.flights": model, "test.t.r": test}, "sources": {}, "exposures": {}, "unit_tests": {},
                "parent_map": {}, "child_map": {"model.t.flights": ["test.t.r"]}}  # fmt: skip
    folder = page.folder / "published" / "docs"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = page.page.docs.model("main.flights")
    assert found
    assert found.used_in("day") == ["relationships_late"]
    assert found.used_in("delay") == found.used_in("model") == found.used_in("field") == []


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


def test_a_unit_test_is_listed_at_the_columns_that_its_rows_have(page: Seen) -> None:
    page.publish()
    model = {"schema": "main", "alias": "flights", "name": "flights", "description": "", "columns": {},
             "config": {"contract": {"enforced": False}}}  # fmt: skip
    own = {"name": "own", "model": "flights", "given": [{"input": "ref('late')", "rows": [{"worst": 1}]}],
           "expect": {"rows": [{"delay": 1}]}}  # fmt: skip
    of_another = {"name": "of_another", "model": "late", "expect": {"rows": [{"worst": 1}]},
                  "given": [{"input": 'ref("flights")', "rows": "select 1 as delay, 'day' as x"}]}  # fmt: skip
    told = {"nodes": {"model.t.flights": model}, "sources": {}, "exposures": {}, "parent_map": {},
            "unit_tests": {"unit_test.t.own": own, "unit_test.t.of_another": of_another},
            "child_map": {"model.t.flights": ["unit_test.t.own"]}}  # fmt: skip
    folder = page.folder / "published" / "docs"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(told))
    found = page.page.docs.model("main.flights")
    assert found
    assert found.tests("delay") == ["own", "of_another"]
    assert found.tests("worst") == found.tests("") == found.feeds == []
    assert "/tests#of_another" in page.get("/tables/main.flights")


def test_a_column_that_others_join_by_is_not_called_unused(page: Seen) -> None:
    page.publish()
    model = {"schema": "main", "alias": "flights", "name": "flights", "description": "", "config": {},
             "columns": {}, "raw_code": "select 1"}  # fmt: skip
    model["config"] = {"contract": {"enforced": True}}
    joins = {**model, "alias": "late", "name": "late", "raw_code": "select x from flights join days on flights.Day = d"}
    told = {"nodes": {"model.t.flights": model, "model.t.late": joins}, "sources": {}, "exposures": {},
            "unit_tests": {}, "parent_map": {}, "child_map": {"model.t.flights": ["model.t.late"]}}  # fmt: skip
    folder = page.folder / "published" / "docs"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(told))
    text = " ".join(page.get("/tables/main.flights").split())
    assert text.count("also used by") == 1
    assert "has a contract" in text


def test_a_published_table_appears_with_its_profile_its_plot_and_the_files_of_its_rows(page: Seen) -> None:
    page.publish()
    assert "main.flights" in page.get("/")
    text = page.get("/tables/main.flights")
    assert "delay by day" in text
    assert "s3://b/in.csv" in text
    page.publish("planes")
    assert "main.planes" in page.get("/")
    assert "main.flights" not in page.get("/")


def test_rows_of_an_aggregate_are_looked_up_where_files_are_known(page: Seen) -> None:
    page.publish()
    with duckdb.connect(str(page.folder / "published" / "warehouse.duckdb")) as connection:
        connection.execute("create table totals as select count(*) as n from flights")
    model = {"schema": "main", "alias": "flights", "name": "flights", "description": "", "columns": {}, "raw_code": "",
             "config": {"contract": {"enforced": False}}}  # fmt: skip
    nodes = {f"model.t.{name}": {**model, "alias": name, "name": name} for name in ("flights", "sums", "totals")}
    parents = {"model.t.totals": ["model.t.sums"], "model.t.sums": ["model.t.flights"]}
    told = {"nodes": nodes, "sources": {}, "exposures": {}, "unit_tests": {}, "parent_map": parents, "child_map": {}}
    (folder := page.folder / "published" / "docs").mkdir()
    (folder / "manifest.json").write_text(json.dumps(told))
    text = re.sub("<[^>]*>", "", " ".join(page.get("/tables/main.totals").split()))
    assert "The column _ab_source_file_url of flights has the file of each row: query it by" in text


def test_a_table_whose_columns_lineage_is_not_written_is_shown_with_its_docs(page: Seen) -> None:
    page.publish()
    model = {"schema": "main", "alias": "flights", "name": "flights", "description": "One row a day.",
             "config": {"contract": {"enforced": False}},
             "columns": {"delay": {"description": "In minutes."}}}  # fmt: skip
    told = {
        "nodes": {"model.t.flights": model},
        "sources": {},
        "exposures": {},
        "unit_tests": {},
        "parent_map": {},
        "child_map": {},
    }
    folder = page.folder / "published" / "docs"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(told))
    text = page.get("/tables/main.flights")
    assert "One row a day." in text
    assert "In minutes." in text
    assert "None" not in text
    assert "no column of another model" not in text.partition("What happens if you delete a column?")[0]


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


def test_parked_files_are_shown_with_the_reason_and_what_to_type_until_they_are_released(
    client: SyncPrefectClient, page: Seen
) -> None:
    key = "parked-batches-my-data-lake-1f3a5b"
    why = "SyncFailed: The file inbound/flights/bad.csv has a bad row in line 3: 'a cell'"
    why = f"Failed: Flow run encountered an exception: {why}"
    batch = {"batch": "abc123", "files": 2, "first": "inbound/flights/bad.csv", "attempts": 3, "reason": why}
    batch["others"] = "inbound/flights/good.csv"
    artifact(client, key, [batch])
    text = " ".join(page.get("/").split())
    assert "<code>inbound/flights/bad.csv</code>" in text
    assert re.search("1 more</summary> *<div><code>inbound/flights/good.csv</code>", text)
    assert "Parked after 3 attempts" in text
    assert "SyncFailed: The file inbound/flights/bad.csv has a bad row in line 3: &#39;a cell&#39;" in text
    assert 'make cursor ARGS="release abc123"' in text
    artifact(client, key, [{**batch, "named": 0, "again": "2026-01-01T10:20:30+00:00"}])
    text = " ".join(page.get("/").split())
    assert "Attempt 4 starts at 10:20:30 UTC." in text
    assert text.index("failed on a file of another batch") < text.index("bad row in line 3")
    assert "Batches: 0 parked, 1 to be retried" in text
    artifact(client, key, [])
    assert "abc123" not in page.get("/")


def test_a_parked_batch_whose_file_was_removed_says_so_beside_the_command_that_forgets_it(
    client: SyncPrefectClient, page: Seen
) -> None:
    @flow(name="remove_file")
    def removes(key: str) -> None: ...

    page.page.facts.names = Names()
    batch = {"batch": "abc123", "files": 1, "first": "inbound/bad.csv", "attempts": 3, "reason": "It is bad."}
    rows = json.dumps([batch, {**batch, "batch": "def456", "first": "inbound/other.csv"}])
    ask(client, "POST", "/artifacts/", {"key": "parked-batches-mine-1f3a", "type": "table", "data": rows})
    removes(key="inbound/bad.csv")
    _, removed, other = " ".join(page.get("/").split()).split("Parked after 3 attempts")
    assert "This file was removed." in removed
    assert 'make cursor ARGS="forget abc123"' in removed
    assert "This file was removed." not in other


def test_a_heading_says_when_a_run_may_yet_change_it(client: SyncPrefectClient, page: Seen) -> None:
    @flow(name="full_pipeline")
    def runs() -> None:
        said.append(page.get("/"))

    said: list[str] = []
    page.publish()
    page.page.facts.names = Names()
    runs()
    assert "All is well, as of the previous run" in " ".join(said[0].split())
    assert "the previous run" not in page.get("/")


def test_runs_that_wait_are_shown_with_their_files(client: SyncPrefectClient, page: Seen) -> None:
    page.page.facts.names = Names()

    @flow(name="full_pipeline")
    def waits(files: list[dict[str, str]] | None = None) -> None:
        """A pipeline."""

    files = {"files": [{"key": "inbound/flights/late.csv"}]}
    late = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(minutes=1))
    client.create_flow_run(waits, parameters=files, name="late-run", state=late)
    client.create_flow_run(waits, name="pending-run", state=Pending())
    text = " ".join(page.get("/").split())
    assert "inbound/flights/late.csv" in text
    assert "Pending. A worker is starting it." in text


def test_a_run_that_no_worker_takes_is_in_the_heading_and_at_the_tables(client: SyncPrefectClient, page: Seen) -> None:
    @flow(name="full_pipeline")
    def waits() -> None: ...

    page.page.facts.names = Names()
    page.publish()
    client.create_flow_run(waits, state=Scheduled(name="Late"))
    text = re.sub("<[^>]*>", "", " ".join(page.get("/").split()))
    assert "? A run waits for a worker" in text
    assert re.search(r"Late, since it was due \d+ s ago. No worker has taken it yet.", text)
    assert "This may delay newer data: " in page.get("/tables/main.flights")


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


def test_a_failed_run_is_shown_with_its_steps_its_sentence_and_a_link(page: Seen) -> None:
    @flow(name="full_pipeline")
    def fails() -> None:
        raise ValueError("row 17 has a secret value")

    page.page.facts.names = Names()
    with pytest.raises(ValueError, match="row 17"):
        fails()
    text = page.get("/")
    assert "Failed" in text
    assert "The run&#39;s page has its text." in text


def test_the_sync_is_marked_where_it_failed_in_a_run_that_failed_for_another_reason_too(page: Seen) -> None:
    @flow(name="airbyte_sync")
    def syncs() -> None:
        raise SyncFailed("Airbyte job 7 of connection c failed.")

    @flow(name="full_pipeline")
    def fails() -> None:
        with suppress(SyncFailed):
            syncs()
        raise ValueError("dbt failed, too")

    page.page.facts.names = Names()
    with pytest.raises(ValueError, match="too"):
        fails()
    text = re.sub("<[^>]*>", "", " ".join(page.get("/").split()))
    assert "Airbyte sync ✕ problem" in text


def test_attempts_that_fail_for_one_reason_tell_it_once(page: Seen) -> None:
    @flow(name="full_pipeline")
    def fails(job: int) -> None:
        raise SyncFailed(f"Airbyte job {job} of connection c failed: in.csv, line 3. Mend it.")

    page.page.facts.names = Names()
    for job in (41, 42):
        with pytest.raises(SyncFailed):
            fails(job)
    text = page.get("/")
    assert text.count("line 3. Mend it.") == 1
    assert "For the same reason as a run above." in text


def test_a_run_whose_own_files_are_loaded_says_so_and_names_the_file_that_failed(page: Seen) -> None:
    @flow(name="full_pipeline")
    def fails() -> None:
        raise OthersFailed("Airbyte job 7 of connection c failed: s3://b/in/broken.csv, line 3: 'x' is no integer.")

    page.page.facts.names = Names()
    with pytest.raises(OthersFailed):
        fails()
    text = page.get("/")
    assert (
        "The files of this run are loaded and published. The sync failed on others. SyncFailed: Airbyte job 7" in text
    )
    assert "in/broken.csv, line 3" in text


def test_a_run_names_its_file_that_was_removed_before_it_was_loaded(client: SyncPrefectClient, page: Seen) -> None:
    why = "it was removed from the bucket before it was loaded"

    @flow(name="full_pipeline")
    def loads() -> None:
        create_table_artifact(
            [{"key": "in/gone.csv", "why": why}], key=page.page.facts.names.artifact("files-without-rows")
        )

    page.page.facts.names = Names()
    loads()
    text = page.get("/")
    assert f"<code>in/gone.csv</code> brought no row: {why}." in text


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


def test_sql_runs_by_a_form_of_the_page_alone(page: Seen) -> None:
    page.publish()
    form = {"q": "select day, delay from flights"}
    own = page.web.post("/sql", data=form, headers={"origin": "http://127.0.0.1:8300", "sec-fetch-site": "same-origin"})
    assert "delay by day" in own.text
    csv = page.web.post("/sql", data={**form, "as": "csv"})
    assert csv.text.splitlines()[:2] == ["day,delay", "2013-01-01,0.0"]
    assert csv.headers["x-more-rows"] == "false"
    cut = page.web.post("/sql", data={"q": "from range(10001)", "as": "csv"})
    assert cut.headers["x-more-rows"] == "true"
    assert "first-10000-rows.csv" in cut.headers["content-disposition"]
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert page.web.post("/sql", data=form, headers=headers).status_code == 403
    assert page.web.post("/sql", data=form, headers={"host": "evil.example"}).status_code == 421
    assert "2013-01-01" not in page.get("/sql?q=from+flights")


def test_a_query_ends_when_its_reader_leaves_and_the_next_one_need_not_wait(page: Seen) -> None:
    page.publish()
    endless = "with recursive t(a) as (select 1 union all select a + 1 from t) select max(a) from t"
    turns = page.page.turns.statistics
    server = uvicorn.Server(uvicorn.Config(create_app(page.page), port=0, log_level="warning"))
    with serving(server) as url:
        for _ in range(AT_ONCE + 1):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{url}/sql", data={"q": endless}, timeout=1)
        deadline = time.monotonic() + SECONDS / 2  # by itself, each would take SECONDS
        while turns().borrowed_tokens or turns().tasks_waiting:
            assert time.monotonic() < deadline, "the queries go on"
            time.sleep(0.05)
        assert httpx.post(f"{url}/sql", data={"q": "select 41 + 1"}).status_code == 200


def test_a_statement_that_is_too_long_is_answered_by_a_page_that_shows_nothing_of_the_platform(page: Seen) -> None:
    answer = page.web.post("/sql", data={"q": "x" * 200_000})
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "The body is larger than 0.1 MB" in answer.text
    assert "trial" not in answer.text


def test_of_many_queries_at_once_some_are_refused(page: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    page.publish()
    monkeypatch.setattr(app, "WAITING", 0)
    assert "are waiting. Try again" in page.web.post("/sql", data={"q": "select 1"}).text


def test_a_query_that_fails_says_why_and_keeps_its_text(page: Seen) -> None:
    page.publish()
    answer = page.web.post("/sql", data={"q": "select nothing from flights"})
    assert answer.status_code == 400
    assert "Binder Error" in answer.text
    assert "select nothing from flights" in answer.text


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


def test_a_prefect_server_that_does_not_answer_leaves_the_tables_and_says_so(tmp_path: Path) -> None:
    page = seen("http://127.0.0.1:9/api", tmp_path)
    page.publish()
    text = page.get("/")
    assert "Prefect&#39;s server does not answer" in text or "Prefect's server does not answer" in text
    assert "main.flights" in text


def test_tables_in_snowflake_are_listed_and_their_rows_are_left_there(
    client: SyncPrefectClient, tmp_path: Path
) -> None:
    page = seen(str(client.api_url), tmp_path, dbt_target="snowflake")
    artifact(
        client,
        "published-tables",
        [{"table": "marts_published.flights", "rows": 3, "before": 3, "columns": 2, "added": "", "removed": ""}],
    )
    assert "marts_published.flights" in page.get("/")
    assert "has no login" in page.get("/tables/marts_published.flights")
    assert "has no login" in page.web.post("/sql", data={"q": "select 1"}).text


def test_json_of_an_artifact_that_is_none_is_no_row() -> None:
    assert facts.rows({"data": json.dumps(["text", {"a": 1}])}) == [{"a": 1}]


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


def test_in_an_incident_only_prefects_own_address_is_a_link() -> None:
    where = "run a www.evil.example/login b.csv, http://127.0.0.1:4200/runs/flow-run/1"
    link = '<a href="http://127.0.0.1:4200/runs/flow-run/1">http://127.0.0.1:4200/runs/flow-run/1</a>'
    assert app.leading(where, "http://127.0.0.1:4200/") == f"run a www.evil.example/login b.csv, {link}"
    assert app.leading("<b>", "Prefect's UI, /") == "&lt;b&gt;"


def test_the_parts_of_a_platform_in_docker_are_shown_with_their_addresses_on_this_machine() -> None:
    told = leads(Settings(s3_endpoint_url="http://localstack:4566"), "http://127.0.0.1:4567", "http://127.0.0.1:8007/")
    assert told["landing"].endswith(" at http://127.0.0.1:4567")
    assert told["sync"] == "http://127.0.0.1:8007/"


def test_a_tables_page_says_that_prefect_is_away(page: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    page.publish('"a/b"')
    monkeypatch.setattr(page.page.prefect, "check", lambda: throw(NoAnswer("Prefect's server does not answer.")))
    assert "Prefect's server does not answer." in page.get("/tables/main.a/b").replace("&#39;", "'")

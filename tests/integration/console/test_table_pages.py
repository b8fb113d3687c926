"""What the page of a table shows: its columns and rows, their tests and docs, and who reads it."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from prefect.client.orchestration import SyncPrefectClient

from blocks import published
from services.console.data import Table
from services.watch.prefect_api import NoAnswer
from tests.integration.console.pages import Seen, artifact, seen, throw


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


def test_a_tables_page_says_that_prefect_is_away(page: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    page.publish('"a/b"')
    monkeypatch.setattr(page.page.prefect, "check", lambda: throw(NoAnswer("Prefect's server does not answer.")))
    assert "Prefect's server does not answer." in page.get("/tables/main.a/b").replace("&#39;", "'")

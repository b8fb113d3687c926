"""The path from landed files to published tables."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect import get_client
from prefect.artifacts import Artifact

from blocks.airbyte.client import AirbyteClient
from blocks.landing import LandedFile
from commands.embedded.stack import CONNECTION_ID
from flows.airbyte_sync import airbyte_sync
from flows.dbt_transform import dbt_transform
from flows.example_flow import example_flow
from flows.full_pipeline import FilesMissing, full_pipeline
from tests.integration.flows.modes import Mode, every_mode
from tests.integration.flows.platform import Platform, flights, newest_run


@every_mode
def test_files_become_published_rows_and_only_new_ones_move_the_next_time(platform: Platform) -> None:
    platform.put_reference()
    first = platform.put("flights/2013-01-01.csv.gz", flights(1))
    result = full_pipeline(files=[LandedFile(key=first)])
    assert {stream.name: stream.rows for stream in result.syncs[0].streams}["flights"] == 20
    assert platform.count("fct_flights") == 20
    assert {source.source: source.status for source in result.freshness} == {
        "raw.flights": "pass",
        "raw.weather": "pass",
    }
    assert list(result.seconds) == ["sync", "transform", "freshness"]
    assert {node.name for node in result.dbt.nodes} >= {"stg_flights", "fct_flights", "agg_daily_performance"}

    platform.put("flights/2013-01-02.csv.gz", flights(2, rows=7))
    result = full_pipeline()
    assert result.syncs[0].rows == 7
    assert platform.count("fct_flights") == 27

    result = full_pipeline()
    assert result.syncs[0].rows == 0
    assert platform.count("fct_flights") == 27


@pytest.mark.exhaustive
def test_dbt_as_a_child_builds_tests_and_counts_what_dbt_in_the_process_of_the_flow_does(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put_reference()
    found = []
    for day, executable in [(1, ""), (2, str(Path(sys.executable).with_name("dbt")))]:
        monkeypatch.setenv("DBT_EXECUTABLE", executable)
        result = full_pipeline(files=[LandedFile(key=platform.put(f"flights/2013-01-0{day}.csv.gz", flights(day)))])
        assert platform.count("fct_flights") == 20 * day
        assert {(count.stream, count.in_raw) for count in result.dbt.rows} >= {("flights", 20 * day)}
        found.append(({(node.name, node.status) for node in result.dbt.nodes}, result.dbt.sources, result.freshness))
    assert found[0][0] == found[1][0]
    assert found[0][1] == found[1][1]
    assert {each.source for each in found[0][2]} == {each.source for each in found[1][2]}


@every_mode
def test_the_run_page_shows_figures_and_links_and_prefect_knows_what_each_table_is_made_of(
    platform: Platform, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSOLE_URL", "http://127.0.0.1:8300/")
    since = datetime.now(UTC)
    platform.put_reference()
    key = platform.put("flights/2013-01-01.csv.gz", flights(1))
    full_pipeline(files=[LandedFile(key=key, etag="an-etag")])
    names = ("airbyte-sync", "dbt-results", "freshness", "landed-files", "row-counts")
    sync, dbt, freshness, landed, counts = (Artifact.get(name) for name in names)
    assert f'"key": "{key}", "etag": "an-etag"' in str(landed and landed.data)
    [flights_] = [row for row in json.loads(str(counts and counts.data)) if row["stream"] == "flights"]
    in_raw = ("in the files", "written", "found in raw", "all of raw", "in staging")
    assert {name: flights_[name] for name in in_raw} == dict.fromkeys(in_raw, 20)
    assert '"stream": "flights", "rows": 20' in str(sync and sync.data)
    assert '"name": "fct_flights"' in str(dbt and dbt.data)
    assert '"source": "raw.flights", "status": "pass"' in str(freshness and freshness.data)
    tables = {row["table"]: row for row in json.loads(str(getattr(Artifact.get("published-tables"), "data", "[]")))}
    published = tables[f"{platform.readers}.fct_flights"]
    assert (published["before"], published["rows"]) == (0, 20)
    run = newest_run("full_pipeline")
    assert run.state_type == "COMPLETED"
    for name, path in (("page", ""), ("docs", "/ready-made/docs"), ("lineage", "/ready-made/lineage")):
        link = Artifact.get(name)
        assert link is not None
        assert (link.flow_run_id, f"(http://127.0.0.1:8300{path})" in str(link.data)) == (run.id, True)
    made = materialized(since, until="published://platform/tables")
    assert made["raw://platform/flights"] == {f"s3://{platform.bucket}/inbound/flights"}
    assert made["dbt://platform/stg_flights"] == {"raw://platform/flights"}
    assert made["dbt://platform/agg_daily_performance"] == {
        "dbt://platform/int_flights_by_day", "dbt://platform/dim_airlines"
    }  # fmt: skip
    published_of = made["published://platform/tables"]
    assert "dbt://platform/fct_flights" in published_of
    # In Snowflake, readers get the tables of one schema; the file of DuckDB has all schemas.
    assert ("dbt://platform/planes_snapshot" in published_of) is not mode.snowflake


def materialized(since: datetime, until: str) -> dict[str, set[str]]:
    """What Prefect was told of assets and of what they are made, once it knows of one of them."""
    wanted = {"event": {"name": ["prefect.asset.materialization.succeeded"]}, "occurred": {"since": since.isoformat()}}
    deadline = time.monotonic() + 60
    while True:
        with get_client(sync_client=True) as client:
            events = client.request("POST", "/events/filter", json={"filter": wanted, "limit": 50}).json()["events"]
        found = {
            event["resource"]["prefect.resource.id"]: {
                each["prefect.resource.id"] for each in event["related"] if "://" in each["prefect.resource.id"]
            }
            for event in events
        }
        if until in found:
            return found
        assert time.monotonic() < deadline, sorted(found)
        time.sleep(0.2)


@every_mode
def test_a_file_of_the_batch_that_brought_no_row_fails_the_run_after_all_else_went_through(platform: Platform) -> None:
    platform.put_reference()
    there = platform.put("flights/2013-01-01.csv.gz", flights(1))
    stray = platform.put("invoices/2013-01-01.csv.gz", "id\n1\n")
    with pytest.raises(FilesMissing, match=f"1 of 2 files brought no row to raw: {stray}"):
        full_pipeline(files=[LandedFile(key=there), LandedFile(key=stray)])
    assert platform.count("fct_flights") == 20


@pytest.mark.exhaustive
def test_files_of_another_bucket_than_the_sensors_are_missed_and_not_taken_for_removed(platform: Platform) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    with pytest.raises(FilesMissing, match=r"inbound/flights/elsewhere\.csv"):
        full_pipeline(files=[LandedFile(key="inbound/flights/elsewhere.csv")])


@every_mode
def test_files_that_an_adopted_sync_was_too_early_for_are_loaded_by_a_second_one(platform: Platform) -> None:
    platform.put_reference()
    stuck = platform.fault("stuck_running", times=1)
    with AirbyteClient(platform.airbyte) as client:
        running, _ = client.start_sync(CONNECTION_ID)
        polled = platform.fault("slow", operation="getJob", seconds=0)

        def land_when_it_has_ended() -> None:
            try:
                polled.await_strike()  # so the flow has adopted it
                platform.fault("slow", operation="listJobs", seconds=3, times=1)  # the second sync waits for the file
            finally:
                stuck.end()
            client.wait(running, timeout=60)
            platform.put("flights/2013-01-01.csv.gz", flights(1))

        with ThreadPoolExecutor(1) as pool:
            landed = pool.submit(land_when_it_has_ended)
            result = full_pipeline(files=[LandedFile(key="inbound/flights/2013-01-01.csv.gz")])
            landed.result()
    assert [sync.adopted for sync in result.syncs] == [True, False]
    assert result.syncs[0].job_id == running.job_id
    assert platform.count("fct_flights") == 20


@pytest.mark.exhaustive
@every_mode
def test_two_pipelines_at_once_take_turns_at_the_warehouse(platform: Platform) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    airbyte_sync()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: dbt_transform(), range(2)))
    assert all(node.status != "error" for result in results for node in result.nodes)


@pytest.mark.exhaustive
@every_mode
def test_a_file_uploaded_again_unchanged_counts_as_arrived(loaded: Platform, mode: Mode) -> None:
    key = loaded.put("flights/2013-01-01.csv.gz", flights(1))
    later = datetime.now(UTC) + timedelta(hours=1)
    files = [LandedFile(key=key, last_modified=later)]
    assert full_pipeline(files=files).syncs[0].rows == (20 if mode.like_airbyte else 0), "Airbyte goes by the date"
    assert loaded.count("fct_flights") == 20


@every_mode
def test_the_example_flow_runs_the_models_and_then_their_tests(platform: Platform) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    airbyte_sync()
    run, test = example_flow()
    assert {node.resource_type for node in run.nodes} == {"model"}
    assert {node.resource_type for node in test.nodes} == {"test", "unit_test"}


@every_mode
def test_a_selection_limits_what_dbt_builds(platform: Platform) -> None:
    platform.put_reference()
    airbyte_sync()
    result = dbt_transform(select="stg_airlines")
    assert {node.name for node in result.nodes if node.resource_type == "model"} == {"stg_airlines"}

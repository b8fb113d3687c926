"""The pipeline's runs on the page: those that wait, run or failed, and the batches that are parked."""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import Pending, Scheduled

from blocks.airbyte.errors import SyncFailed
from blocks.batches import OthersFailed
from blocks.names import Names
from services.bootstrap.pages import ask
from tests.integration.console.pages import Seen, artifact


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

"""What the sensor makes of Prefect's answers: all pages, the server's own clock, any key."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from blocks.attempts import NO_SIGN
from blocks.batches import Batch, Failed
from blocks.landing import LandedFile
from blocks.prefect_client import PrefectUnavailable
from flows.sensors.runs import DeploymentRuns
from tests.unit.sensor.fake_prefect import FakePrefect

RUNS = DeploymentRuns("full_pipeline/asked-for", None)
KEYS = ["a", "a\0b%00", "\x01\n\x7f", "é🛩", "x" * 1024]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePrefect]:
    server = FakePrefect()
    monkeypatch.setattr("blocks.prefect_client.get_client", server.client)
    with server.without_retries():
        yield server


def test_a_run_of_ours_counts_however_many_newer_runs_others_have(server: FakePrefect) -> None:
    server.add(1, "RUNNING")
    server.add(450, "RUNNING", profile="another")
    assert not RUNS.is_busy()
    server.add(1, "RUNNING")
    server.add(250, "SCHEDULED", profile="another")
    assert RUNS.is_busy()


def test_a_run_that_was_queued_a_moment_ago_counts_although_the_servers_date_is_behind(server: FakePrefect) -> None:
    (run,) = server.add(1, "SCHEDULED")
    server.now = datetime.fromisoformat(server.runs[run]["expected_start_time"]) - timedelta(seconds=1)
    assert RUNS.is_busy()


@pytest.mark.parametrize("page", [1, 7, 200])
def test_no_live_run_is_taken_for_one_that_was_deleted_however_small_the_pages(server: FakePrefect, page: int) -> None:
    server.page = page
    live, ended = server.add(30, "RUNNING"), server.add(3, "COMPLETED")
    outcomes = RUNS.outcomes([*live, *ended])
    assert set(outcomes) == set(ended)
    del server.runs[live[0]]
    assert set(RUNS.outcomes([*live, *ended])) == {*ended, live[0]}


@pytest.mark.parametrize("ahead", [-3600, -120, 0, 120, 3600])
def test_whether_a_run_may_be_retried_is_a_matter_of_the_servers_clock_alone(server: FakePrefect, ahead: int) -> None:
    server.now = datetime.now(UTC) + timedelta(seconds=ahead)
    (run,) = server.add(1, "CRASHED")
    state = server.runs[run]["state"]
    state["message"] = f"{NO_SIGN} 90 s"
    for seconds, comes_back in ((5, True), (120, False)):
        state["timestamp"] = f"{server.now - timedelta(seconds=seconds)}"
        assert (RUNS.outcomes([run]) == {}) == comes_back


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_a_file_of_any_key_that_s3_takes_reaches_its_run(server: FakePrefect, key: str) -> None:
    files = [LandedFile(key=key, etag="v"), LandedFile(key="other", etag="v")]
    batch = Batch(files=files)
    RUNS.announce("landing", files)
    RUNS.start(batch)
    RUNS.show_failed("s3://landing/_cursors/x.json", [Failed(batch=batch, reason=f"no rows of {key}")])
    (run,) = server.runs.values()
    assert [LandedFile.model_validate(each) for each in run["parameters"]["files"]] == files
    assert run["name"].isprintable()
    assert len(server.events) == 2
    assert Batch.model_validate_json(batch.model_dump_json()) == batch


@pytest.mark.parametrize("status", [400, 404, 413, 500])
def test_events_and_artifacts_that_prefect_refuses_hold_up_no_batch(server: FakePrefect, status: int) -> None:
    def refuse(name: str, apply: object) -> httpx.Response:
        return httpx.Response(status, text="<html>no</html>")

    server.befall = refuse
    files = [LandedFile(key="a", etag="v")]
    if status == 500:
        with pytest.raises(PrefectUnavailable):
            DeploymentRuns.announce(RUNS, "landing", files)
    RUNS.announce("landing", files)  # the second time, such a failure is taken for lasting


def test_an_artifact_is_updated_and_bounded(server: FakePrefect) -> None:
    batch = Batch(files=[LandedFile(key="x" * 1024, etag="v")] * 100)
    for _ in range(3):
        RUNS.show_failed("s3://landing/_cursors/x.json", [Failed(batch=batch, reason="y" * 100_000)] * 50)
    (artifact,) = server.artifacts.values()
    assert len(artifact["data"]) < 100_000


def test_events_of_many_files_go_in_several_calls(server: FakePrefect) -> None:
    files = [LandedFile(key=f"{number}", etag="v") for number in range(1000)]
    sizes: list[int] = []

    def measured(name: str, apply: Callable[[], httpx.Response]) -> httpx.Response:
        sizes.append(name.count("POST /events"))
        return apply()

    server.befall = measured
    RUNS.announce("landing", files)
    assert sum(sizes) == 5
    assert len(server.events) == 1000

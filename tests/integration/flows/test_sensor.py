"""Files that arrive are handed to the pipeline, each version once."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.states import Cancelled, Completed, Failed, Pending, Running
from pydantic import TypeAdapter

from blocks import lake
from blocks.batches import Batch
from blocks.landing import LandedFile, LandingUnavailable
from blocks.prefect_client import PrefectUnavailable
from flows.airbyte_sync import airbyte_sync
from flows.full_pipeline import FilesMissing, full_pipeline
from flows.sensors.cursor_command import release
from flows.sensors.poll import Sensor
from flows.sensors.runs import DeploymentRuns, parked_key
from flows.sensors.s3_sensor import s3_file_sensor, sensor
from services.content import PROJECT
from tests.integration.flows.platform import Platform, flights, sample

WAIT_SECONDS = 60


@pytest.fixture
def deployment(prefect_server: str) -> Iterator[str]:
    """A deployment of the pipeline that nobody serves, so that its runs stay as they were asked for."""
    identity = full_pipeline.to_deployment(name="asked-for").apply()
    yield "full_pipeline/asked-for"
    with get_client(sync_client=True) as client:
        client.delete_deployment(identity)


def runs_of(deployment: str) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        identity = client.read_deployment_by_name(deployment).id
        chosen = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[identity]))
        return client.read_flow_runs(flow_run_filter=chosen)


def keys_of(run: FlowRun) -> list[str]:
    files = TypeAdapter(list[LandedFile]).validate_python(run.parameters["files"])
    return [file.key for file in files]


def under_way(deployment: str) -> FlowRun:
    """The one run that has not ended."""
    (run,) = (run for run in runs_of(deployment) if run.state and not run.state.is_final())
    return run


def work(run: FlowRun) -> None:
    """Do what a worker does: execute the run to its end, whatever that is."""
    run_flow(full_pipeline, flow_run=run, parameters=run.parameters, return_type="state")


def test_one_look_starts_a_run_for_what_is_new_and_the_next_finds_nothing(platform: Platform, deployment: str) -> None:
    platform.put_reference()
    key = platform.put("flights/2013-01-01.csv.gz", flights(1))
    found = s3_file_sensor(deployment=deployment)
    assert key in [file.key for file in found.files]
    work(under_way(deployment))
    assert platform.count("fct_flights") == 20
    assert s3_file_sensor(max_polls=2, poll_seconds=0.01, deployment=deployment).files == []
    assert looking(deployment).store.load()[0].accepted == []
    assert len(runs_of(deployment)) == 1


def test_a_pattern_limits_what_is_looked_for_and_a_batch_takes_so_many_files(
    platform: Platform, deployment: str
) -> None:
    platform.put_reference()
    for day in (1, 2, 3):
        platform.put(f"flights/2013-01-{day:02}.csv.gz", flights(day, rows=1))
    found = []
    for expected in (2, 1):
        found += s3_file_sensor(pattern="flights/*", max_batch=2, deployment=deployment).files
        run = under_way(deployment)
        assert len(keys_of(run)) == expected
        end(run, Completed())
    assert [file.key for file in found] == [f"inbound/flights/2013-01-{day:02}.csv.gz" for day in (1, 2, 3)]


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_a_thousand_files_at_once_become_rows_each_once_in_no_more_runs_than_the_batch_size_requires(
    platform: Platform, deployment: str
) -> None:
    platform.put_reference()
    for number in range(1000):
        day, row = divmod(number, 500)
        one = sample(f"flights/flights-2013-01-{day + 1:02}.csv.gz", 1, skip=row)
        platform.put(f"flights/{number:04}.csv", one)
    found = []
    for _ in range(2):
        found += s3_file_sensor(pattern="flights/*", max_batch=500, deployment=deployment).files
        work(under_way(deployment))
    assert s3_file_sensor(pattern="flights/*", max_batch=500, deployment=deployment).files == []
    assert (len({file.key for file in found}), len(runs_of(deployment))) == (1000, 2)
    assert platform.count("fct_flights") == 1000
    assert lake.rows(platform.lake)["flights"] == 1000


def looking(deployment: str, **watch: Any) -> Sensor:
    return sensor(DeploymentRuns(deployment, None), 0, None, None, **watch)


def end(run: FlowRun, state: Any) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, state, force=True)


def test_a_batch_that_is_asked_for_twice_is_one_run(platform: Platform, deployment: str) -> None:
    runs, batch = DeploymentRuns(deployment, None), Batch(files=[LandedFile(key="inbound/flights/a.csv", etag="1")])
    assert runs.start(batch) == runs.start(batch)
    (run,) = runs_of(deployment)
    assert run.name == "1 file from inbound/flights/a.csv"
    again = runs.start(batch.model_copy(update={"attempt": 2}))
    assert again != str(run.id)


def test_files_pile_up_in_the_bucket_while_a_run_is_queued(platform: Platform, deployment: str) -> None:
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    assert looking(deployment).poll()
    for day in (2, 3):
        platform.put(f"flights/2013-01-{day:02}.csv.gz", flights(day))
        assert looking(deployment).poll() is None
    (run,) = runs_of(deployment)
    end(run, Pending())
    assert looking(deployment).poll() is None
    end(run, Running())
    assert len(getattr(looking(deployment).poll(), "files", [])) == 2
    assert len(runs_of(deployment)) == 2


def test_no_more_than_two_runs_are_under_way(platform: Platform, deployment: str) -> None:
    for day in (1, 2, 3):
        platform.put(f"flights/2013-01-{day:02}.csv.gz", flights(day))
        looking(deployment).poll()
        for run in runs_of(deployment):
            end(run, Running())
    assert len(runs_of(deployment)) == 2
    end(runs_of(deployment)[0], Completed())
    assert looking(deployment).poll()


@pytest.fixture
def others(prefect_server: str) -> Iterator[dict[str, UUID]]:
    """Other deployments of the pipeline, nobody serves them either, by the connection that they sync."""
    parameters = {"same": {}, "same by name": {"connection_ids": ["one", "two"]}, "other": {"profile": "other"}}
    made = {
        name: full_pipeline.to_deployment(name=name.replace(" ", "-"), parameters=each).apply()
        for name, each in parameters.items()
    }
    yield made
    with get_client(sync_client=True) as client:
        for identity in made.values():
            client.delete_deployment(identity)


@pytest.mark.parametrize(("other", "waits"), [("same", True), ("same by name", True), ("other", False)])
def test_files_wait_while_another_deployment_of_the_same_connection_is_queued(
    platform: Platform, deployment: str, others: dict[str, UUID], other: str, waits: bool
) -> None:
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(others[other])
    assert (looking(deployment).poll() is None) == waits
    end(run, Completed())
    looking(deployment).poll()
    assert len(runs_of(deployment)) == 1


def test_a_pipeline_in_a_process_of_its_own_holds_up_nothing(platform: Platform, deployment: str) -> None:
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    with get_client(sync_client=True) as client:
        runs = [client.create_flow_run(full_pipeline, state=Running()) for _ in range(2)]
    assert looking(deployment).poll()
    for run in runs:
        end(run, Completed())


def test_a_failed_batch_is_tried_again_then_parked_where_a_person_sees_it_and_released_by_them(
    platform: Platform, deployment: str
) -> None:
    key = platform.put("flights/2013-01-01.csv.gz", flights(1))
    watching = looking(deployment, attempts=2, pause=timedelta(0))
    for attempt in (1, 2):
        assert watching.poll()
        run = under_way(deployment)
        assert keys_of(run) == [key]
        assert ("attempt 2" in run.name) == (attempt == 2)
        end(run, Failed(message="the disk is full"))
    assert watching.poll() is None
    assert len(runs_of(deployment)) == 2
    (parked,) = watching.store.parked.named([])
    assert "the disk is full" in parked.reason
    artifact = Artifact.get(parked_key(watching.store.place))
    assert artifact
    assert parked.batch.id in str(artifact.data)
    assert "the disk is full" in str(artifact.data)
    release(watching.store, [parked.batch.id], dry_run=False)
    assert watching.poll()
    assert len(runs_of(deployment)) == 3


def test_a_run_that_a_person_cancels_is_not_tried_again_by_itself(platform: Platform, deployment: str) -> None:
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    watching = looking(deployment, pause=timedelta(0))
    watching.poll()
    end(runs_of(deployment)[0], Cancelled(message="not today"))
    assert watching.poll() is None
    assert [each.reason for each in watching.store.parked.named([])] == ["Cancelled: not today"]


def test_a_batch_whose_run_was_deleted_is_handed_on_again(platform: Platform, deployment: str) -> None:
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    watching = looking(deployment, pause=timedelta(0))
    watching.poll()
    with get_client(sync_client=True) as client:
        client.delete_flow_run(runs_of(deployment)[0].id)
    assert watching.poll()
    assert [run.name.endswith("attempt 2") for run in runs_of(deployment)] == [True]


def test_each_file_that_arrives_is_an_event_once(platform: Platform, deployment: str, prefect_server: str) -> None:
    key = platform.put("flights/a b.csv", "x")
    watching = looking(deployment)
    batch = watching.poll()
    assert batch
    watching.runs.announce(platform.bucket, batch.files)  # as after a crash
    resource = f"s3://{platform.bucket}/{key}"
    query = {"filter": {"event": {"name": ["s3.object.arrived"]}, "resource": {"id": [resource]}}}
    deadline = time.monotonic() + WAIT_SECONDS
    while not (events := httpx.post(f"{prefect_server}/api/events/filter", json=query).json()["events"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [each["payload"] for each in events] == [
        {"bucket": platform.bucket, "key": key, "size": 1, "etag": batch.files[0].etag}
    ]


def test_a_batch_with_a_file_that_brings_no_row_is_parked_at_once(platform: Platform, deployment: str) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    stray = platform.put("invoices/2013-01-01.csv.gz", "id\n1\n")
    s3_file_sensor(deployment=deployment)
    work(under_way(deployment))
    assert s3_file_sensor(deployment=deployment).files == []
    (parked,) = looking(deployment).store.parked.named([])
    assert FilesMissing.__name__ in parked.reason
    assert stray in parked.reason


@pytest.mark.exhaustive
def test_a_file_that_was_removed_after_it_was_seen_holds_up_neither_its_batch_nor_the_sensor(
    platform: Platform, deployment: str
) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    gone = platform.put("flights/2013-01-02.csv.gz", flights(2))
    s3_file_sensor(deployment=deployment)
    platform.s3.delete_object(Bucket=platform.bucket, Key=gone)
    work(run := under_way(deployment))
    assert platform.count("fct_flights") == 20
    assert [each.state_name for each in runs_of(deployment)] == ["Completed"]
    told = Artifact.get("files-without-rows")
    assert told is not None
    assert told.flow_run_id == run.id
    assert f'[{{"key": "{gone}", "why": "it was removed from the bucket before it was loaded"}}]' == told.data
    assert s3_file_sensor(deployment=deployment).files == []
    assert looking(deployment).store.parked.named([]) == []


def test_a_batch_all_of_whose_files_were_removed_ends(platform: Platform, deployment: str) -> None:
    platform.put_reference()
    airbyte_sync()
    gone = platform.put("flights/2013-01-02.csv.gz", flights(2))
    s3_file_sensor(deployment=deployment, pattern="flights/*")
    platform.s3.delete_object(Bucket=platform.bucket, Key=gone)
    work(under_way(deployment))
    assert s3_file_sensor(deployment=deployment, pattern="flights/*").files == []
    store = looking(deployment, pattern="flights/*").store
    assert (store.load()[0].accepted, store.parked.named([])) == ([], [])


def test_a_deployment_that_is_not_there_is_named_and_the_files_wait(platform: Platform) -> None:
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    with pytest.raises(PrefectUnavailable, match="no deployment full_pipeline/nobody"):
        looking("full_pipeline/nobody").poll()


def test_a_bucket_that_is_not_there_is_named(platform: Platform) -> None:
    with pytest.raises(LandingUnavailable, match=r"s3://no-such-bucket cannot be used.*S3_BUCKET"):
        s3_file_sensor(bucket="no-such-bucket")


def test_a_sensor_process_stays_asks_for_runs_and_makes_none_while_idle(platform: Platform, deployment: str) -> None:
    command = [sys.executable, "flows/sensors/s3_sensor.py", "--watch", deployment, "--poll-seconds", "0.2"]
    sensor = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert sensor.stderr
        assert "watching s3://" in sensor.stderr.readline()
        key = platform.put("flights/2013-01-01.csv.gz", flights(1))
        deadline = time.monotonic() + WAIT_SECONDS
        while not (runs := runs_of(deployment)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert [keys_of(run) for run in runs] == [[key]]
        time.sleep(2)  # ten polls
        assert len(runs_of(deployment)) == 1
    finally:
        sensor.terminate()
        sensor.communicate(timeout=WAIT_SECONDS)

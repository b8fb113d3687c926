"""Files that arrive are handed to the pipeline, each version once."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from pydantic import TypeAdapter

from blocks.cursor import Batch
from blocks.landing import LandedFile, LandingUnavailable
from flows.full_pipeline import full_pipeline
from flows.sensors.s3_sensor import hand_to_deployment, poll, s3_file_sensor, watch
from services.embedded.stack import PROJECT
from tests.integration.flows.platform import Platform, flights

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


def test_one_look_runs_the_pipeline_on_what_is_new_and_the_next_finds_nothing(platform: Platform) -> None:
    platform.put_reference()
    key = platform.put("flights/2013-01-01.csv.gz", flights(1))
    found = s3_file_sensor()
    assert key in [file.key for file in found.files]
    assert len(found.results) == 1
    assert platform.count("fct_flights") == 20
    assert s3_file_sensor(max_polls=2, poll_seconds=0.01).files == []


def test_a_pattern_limits_what_is_looked_for_and_a_batch_takes_so_many_files(
    platform: Platform, deployment: str
) -> None:
    platform.put_reference()
    for day in (1, 2, 3):
        platform.put(f"flights/2013-01-{day:02}.csv.gz", flights(day, rows=1))
    found = s3_file_sensor(pattern="flights/*", max_polls=3, poll_seconds=0, max_batch=2, deployment=deployment)
    assert [file.key for file in found.files] == [f"inbound/flights/2013-01-{day:02}.csv.gz" for day in (1, 2, 3)]
    assert sorted(len(keys_of(run)) for run in runs_of(deployment)) == [1, 2]


def test_after_a_crash_at_any_step_the_same_batch_is_one_run(platform: Platform, deployment: str) -> None:
    first = platform.put("flights/2013-01-01.csv.gz", flights(1))
    chosen, store = watch(None, None, "*", 1000, 3600)
    hand_on = hand_to_deployment(deployment, None)

    def crash_before(batch: Batch) -> None:
        raise KeyboardInterrupt

    def crash_after(batch: Batch) -> None:
        hand_on(batch)
        raise KeyboardInterrupt

    for crash in (crash_before, crash_after):
        with pytest.raises(KeyboardInterrupt):
            poll(chosen, store, crash)
    platform.put("flights/2013-01-02.csv.gz", flights(2))
    again = poll(chosen, store, hand_on)
    assert again
    assert [file.key for file in again.files] == [first]
    assert [keys_of(run) for run in runs_of(deployment)] == [[first]]
    later = poll(chosen, store, hand_on)
    assert later
    assert [file.key for file in later.files] == ["inbound/flights/2013-01-02.csv.gz"]


def test_of_two_sensors_the_second_leaves_the_batch_to_the_first(platform: Platform) -> None:
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    chosen, store = watch(None, None, "*", 1000, 3600)
    handed: list[Batch] = []

    def while_another_polls(batch: Batch) -> None:
        handed.append(batch)
        assert poll(chosen, store, handed.append)

    assert poll(chosen, store, while_another_polls) is None
    assert len({batch.idempotency_key for batch in handed}) == 1
    assert poll(chosen, store, handed.append) is None


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


def test_the_sensor_says_how_it_is_used() -> None:
    command = [sys.executable, "flows/sensors/s3_sensor.py", "--help"]
    shown = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert "--watch" in shown.stdout

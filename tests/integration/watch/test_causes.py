"""Each cause of an alert, made to happen from outside: one message when it begins, one when it is over, none else."""

import base64
import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import pairwise

import pytest
import uvicorn
from prefect.states import AwaitingRetry, Completed, Crashed, Late, Running, Scheduled
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from blocks.attempts import NO_SIGN
from blocks.batches import Batch, Failed
from blocks.landing import LandedFile
from blocks.parked import ParkedStore
from blocks.settings import PrefectServer
from services.watch import failures
from services.watch.prefect_api import Prefect
from tests.integration.servers import serving
from tests.integration.watch.world import FRESH, HOUR, LASTING, NAMES, POOL, SECRET, World

ALICE = "alice@example.com"
SYNC = f"SyncFailed: Airbyte job 12 of 'NYC' failed: inbound/flights/a.csv, line 3: '{ALICE}' is no integer. Mend it."
CURSOR = "_cursors/inbound%2F/*"


@contextmanager
def failed_run(world: World) -> Iterator[None]:
    for _ in range(3):
        url = f"http://user:{SECRET}@airbyte:8006"
        world.failed(f"AirbyteUnavailable: Airbyte does not answer at {url}.", "daily-full-pipeline")
    yield
    world.completed()


@contextmanager
def refused_publication(world: World) -> Iterator[None]:
    world.failed(f"DbtFailed: `dbt build` failed on not_null_a (fail): Got 2 results, {ALICE}. Mend it.")
    yield
    world.completed()


@contextmanager
def parked_batch(world: World) -> Iterator[None]:
    store = ParkedStore(world.s3, world.bucket, CURSOR)
    parked = [parked_as(number, SYNC.replace("12", str(number))) for number in range(2)]
    for each in parked:
        store.park(each)
    yield
    for each in parked:
        store.forget(each)


def parked_as(number: int, error: str) -> Failed:
    file = LandedFile(key=f"inbound/flights/{number}.csv", etag="e", size=1, last_modified="2026-01-01T00:00:00Z")
    return Failed(batch=Batch(files=[file], attempt=5), reason=f"Failed: Flow run encountered an exception: {error}")


@contextmanager
def stale_source(world: World) -> Iterator[None]:
    world.freshness(world.now() - 26 * HOUR)
    yield
    world.freshness()


@contextmanager
def late_run(world: World) -> Iterator[None]:
    run = world.run(Late(scheduled_time=world.now() - timedelta(minutes=6)))
    yield
    world.client.delete_flow_run(run.id)


@contextmanager
def gone_worker(world: World) -> Iterator[None]:
    world.client.request("DELETE", f"/work_pools/{POOL}/workers/a worker")
    late = world.run(Late(scheduled_time=world.now() - HOUR))
    yield
    world.client.delete_flow_run(late.id)
    world.client.send_worker_heartbeat(POOL, "a worker", 3600)


@contextmanager
def paused_pool(world: World) -> Iterator[None]:
    world.patch(f"/work_pools/{POOL}", {"is_paused": True})
    yield
    world.patch(f"/work_pools/{POOL}", {"is_paused": False})


@contextmanager
def schedule_off(world: World) -> Iterator[None]:
    daily = world.deployment("daily-full-pipeline")
    path = f"/deployments/{daily.id}/schedules/{daily.schedules[0].id}"
    world.patch(path, {"active": False})
    yield
    world.patch(path, {"active": True})


@contextmanager
def gone_deployment(world: World) -> Iterator[None]:
    from services.bootstrap.drift import Platform

    world.client.delete_deployment(world.deployment("example-flow").id)
    yield
    Platform(world.client, NAMES, profile=None, owner="tests", watched=False).apply(lambda _: None)


@contextmanager
def slow_run(world: World) -> Iterator[None]:
    for _ in range(3):
        world.completed("dbt-transform")
    run = world.run(Running(), "dbt-transform")
    world.passed += timedelta(minutes=2)
    yield
    world.client.delete_flow_run(run.id)


@contextmanager
def drift(world: World) -> Iterator[None]:
    row = {"name": "source_no_airbyte_changes_raw_flights_", "resource_type": "test", "message": ALICE}
    world.artifact("dbt-results", [{**row, "status": "warn"}])
    yield
    world.artifact("dbt-results", [{**row, "status": "pass"}])


@contextmanager
def fallen_volume(world: World) -> Iterator[None]:
    for days in range(7, 0, -1):
        world.loaded(1000, days)
    world.loaded(400, 0)
    yield
    world.loaded(600, 0)


@contextmanager
def low_disk(world: World) -> Iterator[None]:
    world.settings.alert_disk_gb = 1e9
    yield
    world.settings.alert_disk_gb = 0


@contextmanager
def expiring_secret(world: World) -> Iterator[None]:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": (world.now() + 20 * HOUR).timestamp()}).encode()).decode()
    world.settings.snowflake_oauth_token = SecretStr(f"{SECRET}.{claims}.c2ln")
    yield
    world.settings.snowflake_oauth_token = SecretStr("")


CAUSES: dict[str, Callable[[World], object]] = {
    "run_failed": failed_run,
    "publication_refused": refused_publication,
    "batch_parked": parked_batch,
    "source_stale": stale_source,
    "run_late": late_run,
    "worker_gone": gone_worker,
    "pool_paused": paused_pool,
    "schedule_off": schedule_off,
    "deployment_gone": gone_deployment,
    "run_slow": slow_run,
    "drift": drift,
    "volume_fall": fallen_volume,
    "disk_low": low_disk,
    "secret_expiring": expiring_secret,
}


@pytest.mark.parametrize("kind", CAUSES)
def test_a_cause_is_told_once_when_it_begins_and_once_when_it_is_over(world: World, kind: str) -> None:
    with CAUSES[kind](world):
        world.lasting()
        assert world.watch.state.incidents.keys() == {world.messages.read()[0]["key"]}
        message = world.messages.read()[0]
        assert message["impact"]
        assert message["command"]
        assert ALICE not in world.texts()
        assert SECRET not in world.texts()
        assert world.told() == [("open", kind)]
        world.start()
        world.look(LASTING)
        assert world.told() == []
    world.lasting()
    assert world.told() == [("over", kind)]
    assert world.watch.state.incidents == {}


PAIRS = list(pairwise(sorted(set(CAUSES) - {"run_late"})))
"""A late run is reported by itself only where its pool is well."""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pair if number % 5 == 0 else pytest.param(*pair, marks=pytest.mark.exhaustive)
        for number, pair in enumerate(PAIRS)
    ],
)
def test_two_causes_at_once_are_two_incidents(world: World, first: str, second: str) -> None:
    with CAUSES[first](world), CAUSES[second](world):
        world.lasting()
        assert sorted(world.told()) == sorted([("open", first), ("open", second)])
    world.lasting()
    world.lasting()
    assert sorted(world.told()) == sorted([("over", first), ("over", second)])


def test_the_sensors_silence_is_told_by_the_watch_beside_it(world: World) -> None:
    world.look(timedelta(minutes=2), sensor=False)
    assert world.told() == []
    world.look(LASTING, sensor=False)
    assert world.told() == [("open", "sensor_silent")]
    world.start()
    world.look(sensor=False)
    assert world.told() == [], "a watch that starts anew does not take the silence for over"
    world.look()
    assert world.told() == [("over", "sensor_silent")]


@contextmanager
def away(world: World) -> Iterator[None]:
    """Prefect's server is away for an hour."""
    world.watch.server = Prefect(PrefectServer(api_url="http://127.0.0.1:9/api"))
    world.look()
    world.look(HOUR, sensor=False)
    assert world.told() == [("open", "prefect_silent")]
    yield
    world.watch.server = world.server


def test_what_comes_back_a_minute_after_the_server_is_not_reported(world: World) -> None:
    with away(world):
        world.client.request("DELETE", f"/work_pools/{POOL}/workers/a worker")  # type: ignore[arg-type]
        late = world.run(Late(scheduled_time=world.now() - HOUR))
    for _ in range(4):
        world.look(timedelta(seconds=20), sensor=False)
    world.client.send_worker_heartbeat(POOL, "a worker", 3600)
    world.client.delete_flow_run(late.id)
    world.lasting()
    assert world.told() == [("over", "prefect_silent")]


def test_what_does_not_come_back_after_the_server_is_reported_within_two_minutes(world: World) -> None:
    with away(world):
        world.client.request("DELETE", f"/work_pools/{POOL}/workers/a worker")  # type: ignore[arg-type]
    for _ in range(6):
        world.look(timedelta(seconds=20), sensor=False)
    assert sorted(world.told()) == [("open", "sensor_silent"), ("open", "worker_gone"), ("over", "prefect_silent")]
    world.client.send_worker_heartbeat(POOL, "a worker", 3600)


def test_a_server_that_does_not_answer_is_one_incident_and_nothing_else_is_taken_for_over(world: World) -> None:
    with paused_pool(world):
        world.lasting()
        assert world.told() == [("open", "pool_paused")]
        world.watch.server = Prefect(PrefectServer(api_url="http://127.0.0.1:9/api"))
        world.lasting()
        assert world.told() == [("open", "prefect_silent")]
        for _ in range(6):
            world.look(timedelta(minutes=10), sensor=False)  # which Prefect keeps from its looks
        assert world.told() == []
        world.watch.server = world.server
        world.lasting()
        assert world.told() == [("over", "prefect_silent")]
    world.lasting()
    assert world.told() == [("over", "pool_paused")]


def test_a_server_whose_database_is_away_is_told(world: World) -> None:
    app = Starlette(
        routes=[
            Route("/health", lambda _: PlainTextResponse("true")),
            Route("/{path:path}", lambda _: PlainTextResponse("no", 503), methods=["GET", "POST"]),
        ]
    )
    with serving(uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))) as url:
        world.watch.server = Prefect(PrefectServer(api_url=url))
        world.lasting(sensor=False)
        assert world.told() == [("open", "prefect_silent")]
    world.watch.server = world.server
    world.lasting()
    assert world.told() == [("over", "prefect_silent")]


def test_an_s3_that_answers_nothing_keeps_no_other_cause_from_being_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "S3_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, paused_pool(world):
        world.settings.s3_endpoint_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        world.lasting()
        assert world.told() == [("open", "pool_paused")]
        silent.settimeout(0)
        calls = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                calls += 1
        assert calls == 2  # one a look


def test_a_run_that_was_due_while_the_server_was_away_is_late_only_if_it_does_not_start_then(world: World) -> None:
    world.watch.server = Prefect(PrefectServer(api_url="http://127.0.0.1:9/api"))
    world.look(HOUR)
    with late_run(world):
        world.watch.server = world.server
        world.look()
    world.lasting()
    assert world.told() == []


@pytest.mark.parametrize(
    "state",
    [
        AwaitingRetry(message="Its process or worker died; it runs again."),
        Scheduled(),
        Crashed(message=f"{NO_SIGN} 90 s: the run's process has died."),
    ],
    ids=["a retry", "planned", "found dead a moment ago"],
)
def test_an_attempt_that_will_be_tried_again_is_no_incident(world: World, state: object) -> None:
    world.run(state)  # type: ignore[arg-type]
    world.look()
    assert world.told() == []


def test_a_run_that_was_found_dead_and_is_not_tried_again_is_told(world: World) -> None:
    world.run(Crashed(message=f"{NO_SIGN} 90 s: the run's process has died."))
    world.look()
    world.look(LASTING)
    assert world.told() == [("open", "run_failed")]


def test_a_batchs_failed_run_is_no_incident_until_the_batch_is_parked(world: World) -> None:
    files = [{"key": "inbound/flights/0.csv", "etag": "e", "size": 1, "last_modified": "2026-01-01T00:00:00Z"}]
    run = world.client.create_flow_run_from_deployment(
        world.deployment("full-pipeline").id, parameters={"files": files}, idempotency_key=f"k{world.port}"
    )
    from prefect.states import Failed as FailedState

    message = f"Flow run encountered an exception: {SYNC}"
    world.client.set_flow_run_state(run.id, FailedState(message=message), force=True)
    world.lasting()
    assert world.told() == []
    with parked_batch(world):
        world.lasting()
        assert "inbound/flights/a.csv, line 3" in world.texts()
        assert world.told() == [("open", "batch_parked")]


def test_a_sync_that_failed_on_other_files_than_its_batchs_is_told_as_such(world: World) -> None:
    world.failed(f"OthersFailed: {SYNC.partition(': ')[2]}")
    world.lasting()
    (incident,) = world.watch.state.incidents.values()
    assert "not on the files of its run, which are published: SyncFailed: it cannot load inbound/flights/a.csv" in (
        incident.what
    )


def test_parked_batches_are_reported_beside_a_run_that_failed_for_the_same_reason(world: World) -> None:
    with parked_batch(world):
        world.failed(SYNC)
        world.lasting()
        commands = {each["kind"]: each["command"] for each in world.messages.read()}
        ids = [parked_as(number, "").batch.id for number in range(2)]
        assert f"release {ids[0]} {ids[1]}" in commands["batch_parked"]
        assert "full_pipeline" in commands["run_failed"]
        world.told()
        world.completed()
        world.lasting()
        assert world.told() == [("over", "run_failed")]
    world.lasting()
    assert world.told() == [("over", "batch_parked")]


def test_a_batch_that_is_parked_for_its_tests_says_how_to_release_it(world: World) -> None:
    store, parked = (
        ParkedStore(world.s3, world.bucket, CURSOR),
        parked_as(8, "DbtFailed: `dbt build` failed on a (fail): x"),
    )
    store.park(parked)
    world.lasting()
    (message,) = world.messages.read()
    assert message["kind"] == "publication_refused"
    assert f"release {parked.batch.id}" in message["command"]
    store.park(other := parked_as(9, "DbtFailed: `dbt build` failed on a (fail): x"))
    world.lasting()
    (incident,) = world.watch.state.incidents.values()
    assert set(incident.command.partition("release ")[2].split('"')[0].split()) == {parked.batch.id, other.batch.id}
    store.forget(parked)
    store.forget(other)


def test_a_batch_that_is_parked_again_for_another_reason_is_no_longer_part_of_the_first(world: World) -> None:
    store = ParkedStore(world.s3, world.bucket, CURSOR)
    for error in (
        SYNC,
        "FilesMissing: 1 of 1 files brought no row to raw: inbound/flights/6.csv. Such a file is empty.",
    ):
        store.park(parked_as(6, error))
        world.lasting()
        assert len(world.watch.state.incidents) == 1
        store.forget(parked_as(6, error))
    assert sorted(world.told()) == [("open", "batch_parked"), ("open", "batch_parked"), ("over", "batch_parked")]


def test_a_run_of_the_whole_pipeline_ends_what_a_run_of_its_part_began(world: World) -> None:
    world.failed("DbtFailed: `dbt build` failed on not_null_a (fail): Got 2 results.", "dbt-transform")
    world.lasting()
    assert world.told() == [("open", "publication_refused")]
    world.completed()
    world.lasting()
    assert world.told() == [("over", "publication_refused")]


def test_a_run_of_a_selection_does_not_end_what_a_run_of_everything_began(world: World) -> None:
    world.failed("DbtFailed: `dbt build` failed on not_null_a (fail): Got 2 results.", "dbt-transform")
    world.lasting()
    assert world.told() == [("open", "publication_refused")]
    world.run(Completed(), "dbt-transform", select="dim_airlines")
    world.lasting()
    assert world.told() == []
    world.completed("dbt-transform")
    world.lasting()
    assert world.told() == [("over", "publication_refused")]


def test_a_build_of_a_selection_does_not_end_what_a_test_outside_it_warns_of(world: World) -> None:
    test = {"name": "warns", "resource_type": "test", "message": ""}
    world.artifact("dbt-results", [{**test, "status": "warn"}])
    world.lasting()
    assert world.told() == [("open", "drift")]
    world.artifact("dbt-results", [], "`dbt build --select dim_airlines`: 1 success.")
    world.lasting()
    world.artifact("dbt-results", [{**test, "status": "skipped"}])
    world.lasting()
    assert world.told() == []
    world.artifact("dbt-results", [], "`dbt build`: 1 success.")
    world.lasting()
    assert world.told() == [("over", "drift")], "the test is no longer in the project"


def test_a_run_that_is_late_stays_so_while_its_pool_is_paused(world: World) -> None:
    with late_run(world):
        world.lasting()
        with paused_pool(world):
            world.lasting()
        world.lasting()
        assert world.told() == [("open", "run_late"), ("open", "pool_paused"), ("over", "pool_paused")]
    world.lasting()
    assert world.told() == [("over", "run_late")]


def test_an_incident_that_begins_again_is_reported_again(world: World) -> None:
    for _ in range(2):
        with expiring_secret(world):
            world.lasting()
        world.lasting()
        assert world.told() == [("open", "secret_expiring"), ("over", "secret_expiring")]


def test_a_schedule_that_is_off_is_reported_beside_another_that_is_on(world: World) -> None:
    daily = world.deployment("daily-full-pipeline")
    with schedule_off(world):
        other = [{"active": True, "schedule": {"cron": "0 0 28 2 *"}}]
        world.client.request("POST", f"/deployments/{daily.id}/schedules", json=other)  # type: ignore[arg-type]
        world.lasting()
        assert world.told() == [("open", "schedule_off")]


@pytest.mark.parametrize(
    ("kind", "of"), [("schedule_off", "schedule"), ("schedule_off", "deployment"), ("pool_paused", "queue")]
)
def test_what_a_message_says_to_type_ends_its_cause(world: World, kind: str, of: str) -> None:
    daily = world.deployment("daily-full-pipeline")
    if of == "deployment":
        world.patch(f"/deployments/{daily.id}", {"paused": True})
    elif of == "schedule":
        world.patch(f"/deployments/{daily.id}/schedules/{daily.schedules[0].id}", {"active": False})
    else:
        queue = world.client.create_work_queue("a {queue}", work_pool_name=POOL)
        world.client.update_work_queue(queue.id, is_paused=True)
    world.lasting()
    (message,) = world.messages.read()
    command = message["command"]
    environment = {**os.environ, "PREFECT_API_URL": str(world.client.api_url)}
    prefect = shlex.split(command.replace("prefect", f"{sys.executable} -m prefect", 1))
    subprocess.run(prefect, env=environment, check=True, capture_output=True)
    world.lasting()
    assert world.told() == [("open", kind), ("over", kind)]


def test_a_released_batch_is_not_over_while_it_is_tried_once_more(world: World) -> None:
    store, parked = ParkedStore(world.s3, world.bucket, CURSOR), parked_as(7, SYNC)
    store.park(parked)
    world.lasting()
    assert world.told() == [("open", "batch_parked")]
    store.release(parked)
    store.forget(parked)
    world.lasting()
    assert world.told() == []
    store.take(store.next_released()[0])  # type: ignore[index]
    world.lasting()
    assert world.told() == [("over", "batch_parked")]


def test_a_run_that_a_person_deletes_is_no_incident_any_more(world: World) -> None:
    run = world.failed("ConfigurationError: S3_BUCKET is missing.")
    world.look()
    assert world.told() == [("open", "run_failed")]
    world.client.delete_flow_run(run.id)
    world.look()
    assert world.told() == [("over", "run_failed")]


def test_a_source_grows_stale_while_no_run_comes(world: World) -> None:
    for _ in range(4):
        world.look(6 * HOUR)
    assert world.told() == []
    world.look(2 * HOUR)
    world.look(LASTING)
    assert FRESH in world.texts()
    assert world.told() == [("open", "source_stale")]

"""What the watch reports while Prefect's server or S3 does not answer, and after it has come back."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
import uvicorn
from prefect.states import Late
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from blocks.settings import PrefectServer
from services.watch import failures
from services.watch.prefect_api import Prefect
from tests.integration.servers import serving
from tests.integration.watch.causes import late_run, paused_pool
from tests.integration.watch.world import HOUR, POOL, World


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

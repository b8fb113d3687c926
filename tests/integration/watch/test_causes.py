"""Each cause of an alert, made to happen from outside: one message when it begins, one when it is over, none else."""

import os
import shlex
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.integration.watch.causes import ALICE, CAUSES, expiring_secret, late_run, paused_pool, schedule_off
from tests.integration.watch.world import FRESH, HOUR, LASTING, POOL, SECRET, World


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


def test_a_source_grows_stale_while_no_run_comes(world: World) -> None:
    for _ in range(4):
        world.look(6 * HOUR)
    assert world.told() == []
    world.look(2 * HOUR)
    world.look(LASTING)
    assert FRESH in world.texts()
    assert world.told() == [("open", "source_stale")]

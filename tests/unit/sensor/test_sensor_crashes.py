"""The sensor is killed at each of its calls to the outside, and the next one goes on as if nothing had happened."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from blocks.batches import MOST_FAILED
from blocks.errors import PlatformError
from tests.unit.sensor.world import OVERLAP, RECONCILE, Crash, Letter, World

MODES = ["polling", "events"]
KEYS = ["a", "b", "c"]


def prepared(mode: str) -> World:
    """One batch was handed on and its run has failed, three files have come since, and one message is poison."""
    world = World(page=2)
    world.put("first")
    for _ in range(2):
        world.sensor(mode).poll()
    world.end_runs(iter(["failed"]))
    world.now += OVERLAP
    for key in KEYS:
        world.put(key)
    if mode == "events":
        world.letters["poison"] = Letter("{")
    world.effects.clear()
    return world


def effects(mode: str) -> list[str]:
    """What one poll does that finds all this."""
    world = prepared(mode)
    assert world.sensor(mode).poll()
    return world.effects


def crash_points() -> list[Any]:
    return [
        pytest.param(mode, number, fate, id=f"{mode}-{number}-{name}-{fate}")
        for mode in MODES
        for number, name in enumerate(effects(mode))
        for fate in ("crash before", "crash after", "throttled", "answer lost")
    ]


def drained(world: World, mode: str) -> None:
    for _ in range(50):
        world.now += RECONCILE // 4
        world.end_runs(iter(()))
        world.sensor(mode).poll()


@pytest.mark.parametrize(("mode", "number", "fate"), crash_points())
def test_after_a_crash_at_any_call_every_file_is_handed_on_once(mode: str, number: int, fate: str) -> None:
    world = prepared(mode)
    world.fates = [""] * number + [fate]
    with suppress(Crash, PlatformError, ClientError):
        world.sensor(mode).poll()
    assert not world.fates
    drained(world, mode)
    assert sorted(world.handed_on()) == sorted(world.visible())
    assert sorted(world.announced) == sorted(world.handed_on())
    assert all(run.outcome and run.outcome.well for run in world.runs.values() if run.batch.attempt > 1)
    if mode == "events":
        assert world.letters == {}
    assert {body for body, _ in world.dead} == ({"{"} if mode == "events" else set())


def test_the_calls_of_a_poll_are_made_in_the_order_that_makes_a_crash_harmless() -> None:
    start = ["save", "start", "announce", "save"]
    assert effects("polling") == ["load", "outcomes", "save", "list", "list", "busy?", *start]
    assert effects("events") == [
        "load",
        "outcomes",
        "save",
        "busy?",
        "receive",
        "dead letter",
        "delete",
        "receive",
        "busy?",
        *start,
        "delete",
    ]


@pytest.mark.parametrize("mode", MODES)
def test_an_idle_poll_is_two_calls(mode: str) -> None:
    world = World()
    world.put("a")
    drained(world, mode)
    world.effects.clear()
    world.now += 1
    assert world.sensor(mode).poll() is None
    assert world.effects == ["load", *(["list"] if mode == "polling" else ["busy?", "receive"])]


def test_a_message_that_cannot_be_read_goes_to_the_dead_letters_with_the_reason() -> None:
    world = World()
    for body in ("{", '{"Records": [{}]}', '{"Records": []}', '{"Event": "s3:TestEvent"}'):
        world.put("x")
        world.letters[next(reversed(world.letters))].body = body
    drained(world, "events")
    assert world.letters == {}
    assert [body for body, _ in world.dead] == ['{"Records": [{}]}', "{"]
    assert all(reason for _, reason in world.dead)


@pytest.mark.parametrize("mode", MODES)
def test_a_file_that_is_being_rewritten_is_taken_once_it_has_come_to_rest(mode: str) -> None:
    world = World()
    watching = world.sensor(mode, quiet=timedelta(seconds=5))
    for _ in range(3):
        world.put("hot")
        assert watching.poll() is None
        world.now += 3
    world.now += 10
    assert watching.poll()
    assert world.handed_on() == [("inbound/hot", "v3")]


def test_while_too_many_batches_have_failed_the_files_wait_in_the_bucket() -> None:
    world = World()
    for number in range(MOST_FAILED + 5):
        world.put(str(number))
        world.sensor(attempts=1).poll()
        world.end_runs(iter(["cancelled"]))
    assert len(world.runs) == MOST_FAILED
    assert len(world.parked) == MOST_FAILED

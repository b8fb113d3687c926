"""The sensor is killed at each of its calls to the outside, and the next one goes on as if nothing had happened."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from blocks.errors import PlatformError
from flows.sensors.s3_sensor import Heartbeat, watch_forever
from tests.unit.sensor.world import OVERLAP, PREFIX, RECONCILE, START, Crash, Letter, World

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
    # Again by the sensor that comes after the crash, if at all.
    assert set(world.asked.values()) <= {1, 2}
    assert sum(world.asked.values()) <= len(world.runs) + 1
    cursor = world.sensor(mode).store.load()[0]
    assert (cursor.pending, cursor.accepted, cursor.failed) == (None, [], [])
    assert cursor.floor == START  # so far before the newest file as the overlap says
    if mode == "events":
        assert world.letters == {}
    assert {body for body, _ in world.dead} == ({"{"} if mode == "events" else set())


def test_the_calls_of_a_poll_are_made_in_the_order_that_makes_a_crash_harmless() -> None:
    start = ["save", "announce", "start", "save", "outcomes"]
    shown = ["list beside", "show failed"]
    assert effects("polling") == ["load", "outcomes", *shown, "save", "list", "list", "busy?", *start]
    assert effects("events") == [
        "load",
        "outcomes",
        *shown,
        "save",
        "busy?",
        "receive",
        "dead letter",
        "delete",
        "receive",
        *["head"] * 3,
        "busy?",
        *start,
        "delete",
    ]


@pytest.mark.parametrize(("mode", "look"), [("polling", ["list"]), ("events", ["busy?", "receive"])])
def test_an_idle_poll_is_one_look_and_writes_nothing(mode: str, look: list[str]) -> None:
    world = World()
    world.put("a")
    drained(world, mode)
    world.sensor(mode, reconcile=timedelta(0)).poll()
    cursors, runs = dict(world.cursors), dict(world.runs)
    for _ in range(RECONCILE // 4):
        world.effects.clear()
        world.now += 1
        assert world.sensor(mode).poll() is None
        assert world.effects == ["load", *look]
    assert (world.cursors, world.runs) == (cursors, runs)


def test_between_reconciling_listings_steady_arrivals_are_found_by_their_events_alone() -> None:
    world = World()
    world.sensor("events").poll()
    world.effects.clear()
    for second in range(3 * RECONCILE):
        world.now += 1
        world.put(str(second))
        world.sensor("events").poll()
        world.end_runs(iter(()))
    assert len(world.handed_on()) == 3 * RECONCILE
    assert world.effects.count("list") == 3


def test_a_reconciling_listing_is_made_once_however_many_batches_it_fills() -> None:
    world = World(page=2)
    for number in range(20):
        world.put(f"{number:02}", copies=0)
    while world.sensor("events", max_batch=3).poll():
        world.end_runs(iter(()))
    assert sorted(world.handed_on()) == sorted(world.visible())
    batches, pages = 7, 10
    assert len(world.runs) == batches
    # A batch that ends within a page has it listed again.
    assert world.effects.count("list") <= pages + batches


@pytest.mark.parametrize("one", MODES)
@pytest.mark.parametrize("other", MODES)
def test_two_sensors_at_once_make_one_run(one: str, other: str) -> None:
    for number in range(20):
        world = World()
        world.sensor("events").poll()
        world.put("a")
        world.other = lambda world=world: world.sensor(other).poll()
        world.fates = [""] * number + ["another sensor polls"]
        world.sensor(one).poll()
        drained(world, one)
        assert len(world.runs) == 1
        assert world.handed_on() == list(world.visible())


def test_messages_are_kept_from_others_while_their_batch_is_handed_on() -> None:
    world = World()
    watching = world.sensor("events")
    watching.poll()
    world.put("a")
    world.fates = [*[""] * 4, "an hour passes"]  # while its date is asked for
    watching.poll()
    kept = world.effects[world.effects.index("head") : world.effects.index("start")]
    assert "give back" in kept


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 7, 8, 9, 10])
def test_messages_come_again_at_once_after_a_poll_that_failed(number: int) -> None:
    world = World()
    watching = world.sensor("events")
    watching.poll()
    world.put("a")
    world.fates = [""] * number + ["throttled"]
    with suppress(PlatformError):
        watching.poll()
    assert all(letter.hidden_until <= world.now for letter in world.letters.values())
    drained(world, "events")
    assert world.handed_on() == list(world.visible())


def test_a_file_that_s3_refuses_to_show_holds_up_no_other() -> None:
    world = World()
    watching = world.sensor("events")
    watching.poll()
    for key in KEYS:
        world.put(key)
    world.fates = [*[""] * 4, "throttled"]  # the first of the files
    assert watching.poll()
    assert [key for key, *_ in world.handed_on()] == ["inbound/b", "inbound/c"]
    assert len(world.letters) == 1
    drained(world, "events")
    assert sorted(world.handed_on()) == sorted(world.visible())


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
    assert [(key, etag) for key, etag, _ in world.handed_on()] == [("inbound/hot", "v3")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", range(12))
def test_a_rewind_at_any_time_of_a_poll_has_its_files_handed_on_again_at_the_next(mode: str, number: int) -> None:
    world = World()
    world.sensor(mode).poll()
    world.now += 1
    world.put("old")
    world.sensor(mode).poll()
    world.now += 1
    world.put("new")

    def rewind() -> None:
        store = world.sensor().store
        cursor = store.load()[0]
        moved.append(cursor.pending is not None)
        store.change(lambda cursor: cursor.rewound(START + timedelta(seconds=1), store.now))
        handed_on.append(len(world.runs))

    moved, handed_on = list[bool](), list[int]()
    world.other = rewind
    world.fates = [""] * number + ["another sensor polls"]
    world.sensor(mode).poll()
    if not moved:
        rewind()
    world.fates = []
    world.now += 1
    drained(world, mode)
    after = [file.key for run in list(world.runs.values())[handed_on[0] :] for file in run.batch.files]
    assert {"inbound/old", "inbound/new"} <= set(after)


@pytest.mark.parametrize("mode", MODES)
def test_a_rewind_is_seen_by_the_very_next_poll(mode: str) -> None:
    world = World()
    world.put("a")
    drained(world, mode)
    store = world.sensor().store
    store.change(lambda cursor: cursor.rewound(START, store.now))
    batch = world.sensor(mode).poll()
    assert batch
    assert [file.key for file in batch.files] == ["inbound/a"]


def test_after_a_look_that_was_refused_another_sensor_goes_on_with_what_it_connects_with_now() -> None:
    refused, world = World(fates=["throttled"]), World()
    world.put("a")
    sensors = iter([world.sensor()])
    with suppress(StopIteration):
        # The second look of the other is refused as well, and there is no third sensor.
        world.fates = [""] * len(effects("polling")) + ["throttled"]
        watch_forever(refused.sensor(), lambda: next(sensors), 0)
    assert [key for key, *_ in world.handed_on()] == [f"{PREFIX}a"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", ["announce", "start", "save"])
@pytest.mark.parametrize("end", ["", "crash before", "crash after"])
def test_a_sensor_that_was_suspended_while_another_took_over_and_a_person_deleted_the_run_starts_no_second_run(
    mode: str, call: str, end: str
) -> None:
    def with_a_new_file() -> World:
        world = World()
        world.sensor(mode).poll()
        world.put("a")
        world.effects.clear()
        return world

    def meanwhile() -> None:
        assert world.sensor(mode).poll()
        world.delete_run()
        for _ in range(3):
            world.now += 20
            world.sensor(mode).poll()
        world.fates = [end]

    undisturbed = with_a_new_file()
    undisturbed.sensor(mode).poll()
    before_the_last = len(undisturbed.effects) - 1 - undisturbed.effects[::-1].index(call)
    world = with_a_new_file()
    world.other = meanwhile
    world.fates = [""] * before_the_last + ["another sensor polls"]
    with suppress(PlatformError, Crash):
        world.sensor(mode).poll()
    assert [run.batch.attempt for run in world.runs.values() if run.live] == [2]
    if not end:
        assert [run for run in world.runs.values() if run.held and not run.deleted] == []


def test_the_heartbeat_goes_on_while_calls_are_answered_but_not_after_a_look_that_failed(tmp_path: Path) -> None:
    beat = Heartbeat(tmp_path / "looked")
    beat.on_answer({"ResponseMetadata": {"HTTPStatusCode": 200}})
    assert beat.file.exists()
    for status, well, touched in ((500, True, False), (200, True, True), (200, False, False)):
        beat.poll_ended(succeeded=well)
        beat.file.unlink(missing_ok=True)
        beat.on_answer({"ResponseMetadata": {"HTTPStatusCode": status}})
        assert beat.file.exists() == touched
    beat.poll_ended(succeeded=True)
    assert beat.file.exists()

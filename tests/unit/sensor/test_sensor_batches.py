"""Batches whose runs failed: they wait, are parked, and are released or forgotten."""

from contextlib import suppress
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from blocks.batches import MOST_WAITING, Batch, Failed
from blocks.errors import PlatformError
from blocks.landing import LandedFile
from blocks.prefect_client import PrefectUnavailable
from flows.sensors.cursor_command import forget, release
from flows.sensors.poll import MOST_SHOWN
from tests.unit.sensor.test_sensor_crashes import KEYS, MODES, drained
from tests.unit.sensor.world import RECONCILE, Crash, FakeRuns, World


def failing(world: World, outcome: str) -> None:
    """Let more files come and fail, one a batch, than may wait for their next attempt."""
    for number in range(MOST_WAITING + 5):
        world.put(str(number))
        world.sensor(pause=timedelta(days=1)).poll()
        world.end_runs(iter([outcome]))


def test_while_too_many_batches_wait_for_their_next_attempt_the_files_wait_in_the_bucket() -> None:
    world = World()
    failing(world, "failed")
    assert len(world.runs) == MOST_WAITING


def test_parked_batches_hold_up_no_new_ones() -> None:
    world = World()
    failing(world, "cancelled")
    assert len(world.runs) == MOST_WAITING + 5
    assert len(world.parked) == MOST_WAITING + 4


def test_a_failed_batch_is_shown_until_its_next_attempt_begins() -> None:
    world = World()
    world.put("a")
    batch = world.sensor(pause=timedelta(minutes=1)).poll()
    world.end_runs(iter(["failed"]))
    assert batch
    world.sensor(pause=timedelta(minutes=1)).poll()
    assert world.retried == [batch.id]
    world.now += 60
    assert world.sensor().poll()
    world.sensor().poll()
    assert world.retried == []


def test_a_released_or_forgotten_batch_is_shown_as_parked_no_more() -> None:
    world = World()
    for key in "ab":
        world.put(key)
        world.sensor().poll()
        world.end_runs(iter(["cancelled"]))
    world.sensor().poll()
    one, other = world.parked
    store = world.sensor().store
    forget(store, [one], dry_run=False)
    release(store, [other], dry_run=False)
    assert world.sensor().poll()
    assert world.parked == []
    assert [run.batch.id for run in world.runs.values() if run.live] == [other]
    world.end_runs(iter(["cancelled"]))
    world.sensor().poll()
    assert world.parked == [other]


@pytest.mark.parametrize("mode", MODES)
def test_content_that_comes_back_is_a_version_of_its_own(mode: str) -> None:
    world = World()
    world.sensor(mode).poll()
    for etag in ("x", "y", "x"):
        world.put("a", etag=etag)
        world.sensor(mode).poll()
        world.end_runs(iter(()))
        world.now += 1
    assert [etag for _, etag, _ in world.handed_on()] == ["x", "y", "x"]


@pytest.mark.parametrize("mode", MODES)
def test_a_parked_file_that_is_uploaded_again_has_a_run_of_its_own(mode: str) -> None:
    world = World()
    world.sensor(mode).poll()
    world.put("a", etag="x")
    world.sensor(mode).poll()
    world.end_runs(iter(["cancelled"]))
    world.sensor(mode).poll()
    world.now += 1
    world.put("a", etag="x")
    world.sensor(mode).poll()
    assert len(world.runs) == 2


def test_thousands_of_parked_batches_leave_the_cursor_small_and_a_poll_cheap() -> None:
    world = World()
    store = world.sensor().store
    for number in range(2000):
        files = [LandedFile(key=f"inbound/{number:04}-{each}" + "x" * 200, etag="v") for each in range(5)]
        store.parked.park(Failed(batch=Batch(files=files), reason="the disk is full " * 100))
    world.put("a")
    for _ in range(4):
        world.sensor().poll()
        world.end_runs(iter(["cancelled"]))
    body, _ = world.cursors[store.key]
    assert len(body) < 4000
    world.effects.clear()
    world.sensor().poll()
    assert world.effects == ["load", "list"]
    assert len(world.parked) == MOST_SHOWN


@pytest.mark.parametrize("mode", MODES)
def test_an_artifact_that_prefect_refuses_holds_up_no_file(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PrefectUnavailable("413 Request Entity Too Large")

    monkeypatch.setattr(FakeRuns, "show_failed", refused)
    world = World()
    for key in KEYS:
        world.put(key)
        world.sensor(mode).poll()
        world.end_runs(iter(["cancelled"]))
        world.now += RECONCILE
        world.sensor(mode).poll()
        world.end_runs(iter(["cancelled"]))
    assert sorted(world.handed_on()) == sorted(world.visible())


def test_a_batch_that_a_person_releases_is_handed_on_once_more_after_a_crash_at_any_call() -> None:
    for number in range(14):
        for fate in ("crash before", "crash after", "throttled", "answer lost"):
            world = World()
            world.put("a")
            world.sensor().poll()
            world.end_runs(iter(["cancelled"]))
            world.sensor().poll()
            release(world.sensor().store, [], dry_run=False)
            world.fates = [""] * number + [fate]
            with suppress(Crash, PlatformError, ClientError):
                world.sensor().poll()
            world.fates = []
            drained(world, "polling")
            assert [run.batch.attempt for run in world.runs.values() if not run.deleted] == [1, 2]
            assert world.sensor().store.parked.parked_objects() == []
            assert world.sensor().store.parked.next_released() is None

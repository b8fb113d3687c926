"""Events that come late, or of files that a person has dealt with."""

from collections import Counter
from datetime import timedelta

from flows.sensors.cursor_command import skip
from tests.unit.sensor.test_sensor_crashes import drained
from tests.unit.sensor.world import OVERLAP, RECONCILE, World


def test_an_upload_that_took_longer_than_the_overlap_is_handed_on_by_its_event_and_only_once() -> None:
    world = World()
    world.sensor("events").poll()
    world.now += 20 * OVERLAP
    world.put("a")
    drained(world, "events")
    world.put("slow", began=-100 * OVERLAP, copies=2)
    slow = world.objects["inbound/slow"]
    assert slow.date < world.sensor("events").store.load()[0].floor
    world.letters[next(reversed(world.letters))].hidden_until = world.now + 20 * RECONCILE  # the second comes late
    drained(world, "events")
    world.now += 20 * RECONCILE
    drained(world, "events")
    assert [key for key, *_ in world.handed_on()] == ["inbound/a", "inbound/slow"]
    assert world.letters == {}


def test_a_late_event_of_a_file_that_a_listing_found_long_ago_hands_it_on_no_second_time() -> None:
    world = World()
    world.put("a")
    world.put("b", copies=0)
    for letter in world.letters.values():
        letter.hidden_until = 40 * RECONCILE
    drained(world, "events")
    for _ in range(5):
        world.now += 10 * RECONCILE
        world.put("newer")
        drained(world, "events")
    assert Counter(key for key, *_ in world.handed_on()) == {"inbound/a": 1, "inbound/b": 1, "inbound/newer": 5}
    assert world.letters == {}


def test_what_a_person_has_skipped_is_not_handed_on_by_its_event() -> None:
    world = World()
    world.sensor("events").poll()
    world.put("old", began=-2 * OVERLAP)
    store = world.sensor().store
    world.now += 1
    skip(store, [], timedelta(seconds=OVERLAP), dry_run=False)
    drained(world, "events")
    assert world.handed_on() == []
    assert world.letters == {}

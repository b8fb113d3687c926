"""Whatever happens to the bucket, the queue and the sensor: every version that stays for a poll is handed on, once.

SENSOR_HISTORIES is the number of histories for each way of finding files; more are worth while after a change here.
"""

import os
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.errors import PlatformError
from tests.unit.sensor.world import OVERLAP, RECONCILE, START, Crash, Version, World, version

FATES = [
    *("", "", "", "another sensor polls", "a file arrives", "a file arrives", "time passes"),
    *("crash before", "crash after", "throttled", "answer lost", "a person deletes the newest run"),
]
HISTORIES = int(os.environ.get("SENSOR_HISTORIES", settings().max_examples))
LATE = 10 * RECONCILE  # seconds by which a message comes late
SKEW = 2  # seconds by which a date may lie in the future

keys = st.one_of(
    st.sampled_from(["a", "b", "z/y", "m n+o%20", "é"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=3),
)
contents = st.sampled_from(["", "", "x", "y"])  # what is always new, and what may come back
# An upload may have begun long before the overlap; its message may be lost, doubled, or come late.
began = st.one_of(st.integers(-OVERLAP, SKEW), st.integers(-OVERLAP, SKEW), st.integers(-20 * OVERLAP, -OVERLAP - 1))
delays = st.sampled_from([0, 0, 0, OVERLAP + 1, LATE])
puts = st.tuples(st.just("put"), keys, began, st.integers(0, 3), contents, delays)
deletes = st.tuples(st.just("delete"), keys)
waits = st.tuples(st.just("wait"), st.sampled_from([0, 1, OVERLAP, 130]))
ends = st.tuples(st.just("end"), st.lists(st.sampled_from(["well", "failed", "cancelled"]), max_size=3))
polls = st.tuples(st.just("poll"), st.lists(st.sampled_from(FATES), max_size=12), st.integers(0, 9))
drains = st.tuples(st.just("drain"), st.integers(0, 9))
removals = st.tuples(st.just("delete run"))
steps = st.lists(st.one_of(puts, puts, puts, polls, polls, waits, ends, deletes, drains, removals), max_size=25)


class Model:
    """A world, the sensors that come and go in it, and which versions stayed for a poll."""

    def __init__(self, modes: list[str], limit: int, page: int) -> None:
        self.world, self.modes, self.limit = World(page=page), modes, limit
        self.world.other = lambda: suppressing(self.sensor(self.world.versions).poll)
        self.stayed = set[Version]()
        self.slow = dict[Version, bool]()

    def sensor(self, which: int) -> Any:
        return self.world.sensor(self.modes[which % len(self.modes)], max_batch=self.limit)

    def take(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("put", key, began, copies, content, delay):
                file = self.world.put(key, began, copies, content, delay)
                if began < -OVERLAP:
                    self.slow[version(file)] = copies > 0
            case ("delete run",):
                self.world.delete_run()
            case ("delete", key):
                self.world.objects.pop(f"inbound/{key}", None)
            case ("wait", seconds):
                self.world.now += seconds
            case ("end", outcomes):
                self.world.end_runs(iter(outcomes))
            case ("poll", fates, which):
                self.world.fates = list(fates)
                suppressing(self.sensor(which).poll)
                self.world.fates = []
            case ("drain", which):
                self.drain(which)

    def drain(self, which: int) -> None:
        """Let a sensor poll undisturbed until it comes to rest; what is there all the while has stayed for a poll."""
        sensor, begun = self.sensor(which), START + timedelta(seconds=self.world.now)
        for _ in range(1000):
            self.world.now += 1
            self.world.end_runs(iter(()))
            if not sensor.poll():
                cursor = sensor.store.load()[0]
                looked = not sensor.arrivals or cursor.reconciled > begun
                settled = not cursor.pending and cursor.accepted == [] and cursor.failed == cursor.parked
                if looked and settled:
                    self.stayed |= {each for each in self.world.visible() if each not in self.slow}
                    return
                self.world.now += RECONCILE
        raise AssertionError("the sensor never comes to rest")

    def read_all(self) -> None:
        """Let a sensor poll until no message is left; each must then have been about something handed on, or gone."""
        self.world.now += LATE
        sensor = self.sensor(0)
        for _ in range(1000):
            if not self.world.letters:
                return
            self.world.now += 1
            self.world.end_runs(iter(()))
            sensor.poll()
        raise AssertionError("messages are never deleted")


def suppressing(poll: Any) -> None:
    with suppress(Crash, PlatformError, ClientError):
        poll()


MODES = [["polling"], ["events"], ["polling", "events"]]


@pytest.mark.parametrize("modes", MODES, ids="-".join)
@settings(max_examples=HISTORIES)
@given(history=steps, limit=st.integers(1, 5), page=st.integers(1, 4))
def test_every_version_that_stays_for_a_poll_is_handed_on_once(
    modes: list[str], history: list[tuple[Any, ...]], limit: int, page: int
) -> None:
    model = Model(modes, limit, page)
    for step in history:
        model.take(step)
    if modes == ["events"]:
        model.read_all()
    model.drain(0)
    if modes == ["events"]:
        model.stayed |= {each for each in model.world.visible() if model.slow.get(each)}
    handed_on = Counter(model.world.handed_on())
    assert {version for version, count in handed_on.items() if count > 1} == set()
    assert model.stayed - set(handed_on) == set()
    assert sorted(model.world.announced) == sorted(handed_on)

"""Messages reach their receiver once, whatever ends, and a day on which all is well has none."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from blocks.incidents import AlreadyWatched, IncidentStore
from services.embedded.processes import free_ports
from services.watch.watch import TEST, ask_for_test
from tests.integration.watch.world import HOUR, World

ERROR = "AirbyteUnavailable: Airbyte does not answer."


@pytest.fixture
def unheard(client: SyncPrefectClient, s3_url: str, tmp_path: Path) -> Iterator[World]:
    """A platform whose receiver is down."""
    world = World(client, s3_url, tmp_path, *free_ports(1))
    yield world
    world.forget()


def test_messages_wait_for_a_receiver_that_is_down_and_arrive_in_order(unheard: World) -> None:
    world = unheard
    world.failed(ERROR)
    world.look()
    for _ in range(10):
        world.look(timedelta(minutes=1))
    world.completed()
    world.look()
    assert [each.state for each in world.watch.state.unsent] == ["open", "over"]
    with world.receiver():
        world.look()
        world.look()
        assert world.told() == [("open", "run_failed"), ("over", "run_failed")]


def test_a_watch_that_is_killed_between_storing_and_sending_sends_when_it_is_back(unheard: World) -> None:
    world = unheard
    world.failed(ERROR)
    world.watch.look()
    world.start()
    with world.receiver():
        world.look()
        assert world.told() == [("open", "run_failed")]


def test_a_message_whose_arrival_was_not_noted_comes_again_with_the_same_id(world: World) -> None:
    world.failed(ERROR)
    world.watch.look()
    stored = world.watch.store.file.read_bytes()
    world.watch.deliver()
    world.watch.store.file.write_bytes(stored)  # as after a kill just before the note
    world.start()
    world.look()
    assert world.told() == [("open", "run_failed")]  # the receiver knows the id


def test_a_damaged_file_of_incidents_is_set_aside(world: World) -> None:
    world.watch.store.file.write_text("{")
    world.start()
    world.look()
    assert list(world.folder.glob("incidents.damaged-*"))
    assert world.told() == []


def test_only_one_watch_keeps_the_incidents_of_a_folder(tmp_path: Path) -> None:
    first = IncidentStore(tmp_path)
    first.hold()
    with pytest.raises(AlreadyWatched, match="ALERTS_DIR"):
        IncidentStore(tmp_path).hold()
    first.release()


def test_a_test_message_goes_through_the_whole_chain(world: World) -> None:
    id_ = ask_for_test(world.watch.store)
    assert (world.folder / f"{TEST}{id_}").exists()
    world.look()
    assert [(each["id"], each["state"]) for each in world.messages.read()] == [(id_, "test")]
    assert id_ in world.watch.state.sent
    world.look()
    assert world.told() == [("test", "test")]


def test_a_day_on_which_all_is_well_has_no_message(world: World) -> None:
    for hour in range(0, 24, 2):
        world.completed("daily-full-pipeline" if hour == 6 else "full-pipeline")
        world.freshness()
        world.look(2 * HOUR)
        if hour % 8 == 0:
            world.start()  # as after `make up`
    assert world.told() == []
    assert world.watch.state.incidents == {}

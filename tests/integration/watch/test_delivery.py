"""Messages reach their receiver once, whatever ends, and a day on which all is well has none."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from blocks.incidents import AGAIN, KEPT, TRIES, AlreadyWatched, IncidentStore, Message, unsent
from blocks.names import alerts_block
from blocks.settings import PrefectServer
from blocks.webhook import NotTaken, Refused, Unreachable, send
from commands.embedded.processes import free_ports
from services.watch.prefect_api import Prefect
from services.watch.watch import TEST, Watch, ask_for_test
from tests.integration.servers import serving
from tests.integration.watch.world import HOUR, NAMES, World

NOW = datetime(2026, 11, 28, tzinfo=UTC)
MESSAGE = Message(id="1", state="test", platform="local", key="test/1", kind="test", what="A test.", since=NOW)
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


class Choosy:
    """A receiver that refuses some messages.

    Attributes:
        refuses: returns the status with which a message is refused; 0 for none.
        said: the answer to a message that is taken.
        tried: the keys of all messages that were sent.
        took: the states and keys of those that it has taken.
    """

    def __init__(self, port: int) -> None:
        self.refuses: Callable[[dict[str, str]], int] = lambda _: 0
        self.said = "ok"
        self.tried, self.took = list[str](), list[tuple[str, str]]()
        app = Starlette(routes=[Route("/{path:path}", self.take, methods=["POST"])])
        self.server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))

    async def take(self, request: Request) -> Response:
        message = await request.json()
        self.tried.append(message.get("key", ""))
        if status := self.refuses(message):
            return PlainTextResponse("no", status)
        self.took.append((message.get("state", ""), message.get("kind", "")))
        return PlainTextResponse(self.said)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, Refused) for status in (302, 400, 401, 403, 404, 410, 413, 422)),
        *((status, NotTaken) for status in (408, 425, 429, 500, 502, 503)),
    ],
)
def test_a_status_says_whether_the_receiver_may_take_the_message_later(status: int, error: type[NotTaken]) -> None:
    receiver = Choosy(*free_ports(1))
    receiver.refuses = lambda _: status
    with serving(receiver.server), pytest.raises(NotTaken, match=str(status)) as caught:
        send(MESSAGE, SecretStr(f"http://127.0.0.1:{receiver.server.config.port}/"))
    assert caught.type is error


@pytest.mark.parametrize(("status", "error"), [(413, Refused), (429, NotTaken)])
def test_teams_says_in_an_answer_of_success_that_it_did_not_take_a_message(status: int, error: type[NotTaken]) -> None:
    receiver = Choosy(*free_ports(1))
    receiver.said = f"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status}"
    url = SecretStr(f"http://127.0.0.1:{receiver.server.config.port}/")
    with serving(receiver.server):
        with pytest.raises(NotTaken, match=str(status)) as caught:
            send(MESSAGE, url, "teams")
        send(MESSAGE, url, "slack")
    assert caught.type is error


def test_a_receiver_without_an_address_or_a_process_is_not_blamed_on_the_message() -> None:
    for url in (f"http://127.0.0.1:{free_ports(1)[0]}/", "http://[half", "no-url"):
        with pytest.raises(Unreachable):
            send(MESSAGE, SecretStr(url))


@pytest.fixture
def choosy(unheard: World) -> Iterator[Choosy]:
    """The receiver of that platform, which refuses what a test says."""
    receiver = Choosy(unheard.port)
    with serving(receiver.server):
        yield receiver


def two_incidents(world: World) -> None:
    """Two incidents, told in the order of their names."""
    world.failed(ERROR)
    world.look()
    world.settings.alert_disk_gb = 1e9
    world.look()


@pytest.mark.parametrize("status", [404, 413])
def test_a_message_that_the_receiver_refuses_does_not_hold_up_the_others(
    unheard: World, choosy: Choosy, status: int
) -> None:
    choosy.refuses = lambda message: status if message["kind"] == "run_failed" else 0
    two_incidents(unheard)
    assert choosy.took == [("open", "disk_low")]
    assert [each.key for each in unsent(unheard.watch.state, unheard.now())] == ["message_unsent/receiver"]
    unheard.look()
    assert len([key for key in choosy.tried if key.startswith("run_failed")]) == 1  # it is not tried at each look
    choosy.refuses = lambda _: 0
    unheard.look(AGAIN)
    assert choosy.took == [("open", "disk_low"), ("open", "run_failed")]
    assert unsent(unheard.watch.state, unheard.now()) == []


def test_a_message_that_the_receiver_fails_to_take_again_and_again_is_passed_by_the_others(
    unheard: World, choosy: Choosy
) -> None:
    choosy.refuses = lambda message: 500 if message["kind"] == "run_failed" else 0
    two_incidents(unheard)
    assert choosy.took == []  # it may well be the receiver's trouble with all of them
    for _ in range(TRIES):
        unheard.look()
    assert choosy.took == [("open", "disk_low")]


def test_a_receiver_that_refuses_all_for_a_while_gets_each_message_once_and_in_order(
    unheard: World, choosy: Choosy
) -> None:
    choosy.refuses = lambda _: 404
    unheard.failed(ERROR)
    for _ in range(10):
        unheard.look(timedelta(minutes=1))
    unheard.start()  # what was set aside outlives the watch
    choosy.refuses = lambda _: 0
    unheard.completed()
    unheard.look()
    unheard.look(AGAIN)
    assert choosy.took == [("open", "run_failed"), ("over", "run_failed")]


def test_a_message_is_given_up_after_a_day_in_which_the_receiver_took_others(unheard: World, choosy: Choosy) -> None:
    choosy.refuses = lambda message: 400 if message["kind"] == "run_failed" else 0
    unheard.failed(ERROR)
    unheard.look()
    unheard.look(KEPT + AGAIN)
    assert [each.kind for each in unheard.watch.state.unsent] == ["run_failed"]  # it may refuse all
    unheard.settings.alert_disk_gb = 1e9
    unheard.look()
    unheard.look(AGAIN)
    assert unheard.watch.state.unsent == []
    assert unheard.watch.state.failures == {}


@pytest.fixture
def receiver_block(world: World) -> Iterator[str]:
    """A profile whose block has the receiver's URL."""
    Webhook(url=world.settings.alert_webhook_url).save(alerts_block("watched"), overwrite=True)
    yield "watched"
    Webhook.delete(alerts_block("watched"))


@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "never seen"])
def test_an_absent_prefect_is_told_also_where_nothing_was_told_before(
    world: World, receiver_block: str, seen: bool
) -> None:
    store, known = IncidentStore(world.folder), world.settings
    if seen:  # its block then is the only one that knows the receiver
        known = known.model_copy(update={"alert_webhook_url": SecretStr("")})
    away = Prefect(PrefectServer(api_url=f"http://127.0.0.1:{free_ports(1)[0]}/api"))
    server = world.server if seen else away
    world.watch = Watch(store, server, known, NAMES, profile=receiver_block, clock=world.now)
    world.look()
    world.watch.server = away
    world.lasting()
    assert world.told() == [("open", "prefect_silent")]


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


def test_a_receiver_that_drips_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blocks.webhook.SECONDS", 0.5)
    dripping, done = threading.Event(), threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            dripping.set()
            while not done.wait(0.1):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        try:
            with pytest.raises(NotTaken, match="TimeoutError"):
                send(MESSAGE, SecretStr(f"http://127.0.0.1:{server.getsockname()[1]}/"))
            assert dripping.is_set()
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("url", ["hooks.example.com/T0", "ftp://127.0.0.1/x", "http://127.0.0.1:port/"])
def test_what_is_no_url_is_said_to_be_none(url: str) -> None:
    with pytest.raises(Unreachable, match="not a URL"):
        send(MESSAGE, SecretStr(url))

"""Prefect's server itself tells that the watch is silent: once, whether or not the watch ever came."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from pydantic import SecretStr

from services.bootstrap import alerts
from services.bootstrap.alerts import automations
from services.bootstrap.automations import values
from services.bootstrap.pages import ask
from services.watch import silence
from tests.integration.watch.world import NAMES, World

QUIET, GRACE = timedelta(seconds=10), timedelta(seconds=15)
DEADLINE = 120


@pytest.fixture
def watched(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A platform whose server tells of a silent watch within seconds."""
    monkeypatch.setattr(alerts, "QUIET", QUIET)
    monkeypatch.setattr(alerts, "GRACE", GRACE)
    monkeypatch.setattr(silence, "EVERY", timedelta(0))
    monkeypatch.setenv("ALERT_WEBHOOK_URL", world.settings.alert_webhook_url.get_secret_value())
    block = Webhook(url=SecretStr(f"http://127.0.0.1:{world.port}/"), headers={"Content-Type": "application/json"})
    saved = block.save("watched-alerts", overwrite=True)
    made = [values(each) for each in automations(NAMES, saved, "watched")]  # type: ignore[arg-type]
    ids = [ask(world.client, "POST", "/automations/", {**each, "enabled": True})["id"] for each in made]
    yield world
    for each in ids:
        world.client.delete_automation(each)
    Webhook.delete("watched-alerts")


def enabled(client: SyncPrefectClient) -> bool:
    return client.read_automations_by_name(NAMES.title(silence.TITLE))[0].enabled


def noticed(client: SyncPrefectClient) -> bool:
    """Whether the server has noticed within the last minute that no sign of life has come."""
    wanted = {
        "occurred": {"since": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()},
        "event": {"name": [alerts.TRIGGERED]},
        "resource": {"labels": {"prefect.resource.name": [NAMES.title(silence.NOTICED)]}},
    }
    return bool(ask(client, "POST", "/events/filter", {"filter": wanted})["events"])


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.exhaustive
def test_the_server_tells_of_a_silent_watch_once_and_the_watch_tells_when_it_is_back(watched: World) -> None:
    world = watched
    until(world.messages.read)
    until(lambda: not enabled(world.client))
    time.sleep(2 * (QUIET + GRACE).total_seconds())  # in which a second message would come
    first = world.messages.read()[0]
    assert "The watch is silent" in first["text"]
    assert first["since"][:2] == "20"
    assert "{{" not in str(first)
    assert world.told() == [("open", "watch_silent")]
    world.look()
    world.look()
    assert world.told() == [("over", "watch_silent")]
    assert enabled(world.client)
    until(world.messages.read)
    assert world.told() == [("open", "watch_silent")]


@pytest.mark.exhaustive
def test_the_server_tells_nothing_of_a_watch_that_looks(watched: World) -> None:
    until(lambda: watched.look() or enabled(watched.client))
    watched.told()
    end = time.monotonic() + 3 * (QUIET + GRACE).total_seconds()
    while time.monotonic() < end:
        watched.look()
        time.sleep(2)
    assert watched.told() == []


@pytest.mark.exhaustive
def test_a_server_that_was_away_for_long_tells_nothing_of_a_watch_that_looks_once_it_is_back(watched: World) -> None:
    world = watched
    end = time.monotonic() + 2 * QUIET.total_seconds()
    while time.monotonic() < end:
        world.look()
        time.sleep(2)
    world.told()
    world.expire_windows()
    until(lambda: noticed(world.client))
    world.look()
    end = time.monotonic() + 2 * GRACE.total_seconds()
    while time.monotonic() < end:
        time.sleep(2)
        world.look()
    assert world.told() == []

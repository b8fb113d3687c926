"""`make status` for programs says what is wrong also where the sensor's place cannot be asked."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.incidents import TRIES, Failure, Incident, IncidentStore, Message, State
from blocks.settings import Settings
from commands.doctor.alerts import alerts
from flows.sensors.cursor_command import main

NOW = datetime.now(UTC)
WORKER = Incident(key="worker_gone/local", kind="worker_gone", what="No worker.", since=NOW, impact="New rows wait.",
                  where="the pool", command="make up")  # fmt: skip


def status(
    folder: Path, state: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, object]]:
    """The exit code and the answer of `make status ARGS=--json` where S3 has an address that nobody can call."""
    monkeypatch.setenv("ALERTS_DIR", str(folder))
    monkeypatch.setenv("S3_ENDPOINT_URL", "no-url")
    IncidentStore(folder).save(state)
    code = main(["show", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_open_incidents_are_shown_while_s3_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = State(began=NOW, looked=datetime.now(UTC), incidents={WORKER.key: WORKER})
    code, said = status(tmp_path, state, monkeypatch, capsys)
    assert code == 1
    assert [each["key"] for each in said["incidents"]] == [WORKER.key]  # type: ignore[attr-defined]
    assert said["well"] is False
    assert "no-url" in str(said["error"])


def test_a_watch_that_is_silent_is_an_incident_for_programs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = status(tmp_path, State(began=NOW, looked=NOW - timedelta(hours=1)), monkeypatch, capsys)
    assert code == 1
    assert [each["kind"] for each in said["incidents"]] == ["watch_silent"]  # type: ignore[attr-defined]


def test_messages_that_the_receiver_refuses_are_named_by_status_and_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = Message.of(WORKER, "local")
    refused = Failure(why="It refuses messages with status 404.", since=NOW, last=NOW, tries=TRIES)
    state = State(began=NOW, looked=datetime.now(UTC), unsent=[message], failures={message.id: refused})
    code, said = status(tmp_path, state, monkeypatch, capsys)
    assert code == 1
    (found,) = said["incidents"]  # type: ignore[attr-defined]
    assert found["kind"] == "message_unsent"
    assert "worker_gone/local (open)" in found["what"]
    assert "404" in found["what"]
    warned = [each for each in alerts(Settings(alerts_dir=tmp_path)) if each.state == "warn"]
    assert any("worker_gone/local (open)" in each.said and "make alert-test" in each.fix for each in warned)


@pytest.mark.parametrize(("minutes", "kinds"), [(1, []), (3, ["message_unsent"])])
def test_a_receiver_that_is_down_for_minutes_is_an_incident(
    minutes: int,
    kinds: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message, since = Message.of(WORKER, "local"), datetime.now(UTC) - timedelta(minutes=minutes)
    down = Failure(why="The receiver does not answer.", since=since, last=since, tries=0)
    state = State(began=NOW, looked=datetime.now(UTC), unsent=[message], failures={message.id: down})
    code, said = status(tmp_path, state, monkeypatch, capsys)
    assert code == bool(kinds) or said["error"]
    assert [each["kind"] for each in said["incidents"]] == kinds  # type: ignore[attr-defined]

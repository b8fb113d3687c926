"""`make status` for programs says what is wrong also where the sensor's place cannot be asked."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.cursor_command import main
from blocks.incidents import Incident, IncidentStore, State

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

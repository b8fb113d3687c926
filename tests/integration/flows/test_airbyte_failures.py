"""The run reports what failed in Airbyte, and cancels its own sync when it times out or is interrupted."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.airbyte.client import AirbyteClient
from blocks.airbyte.errors import (
    AirbyteUnauthorised,
    AirbyteUnavailable,
    SyncCancelled,
    SyncFailed,
    SyncTimedOut,
    UnknownConnection,
)
from blocks.errors import ConfigurationError, PlatformError
from commands.embedded.processes import free_ports
from commands.embedded.stack import CONNECTION_ID
from flows.airbyte_sync import StartedSync, airbyte_sync, wait_for_sync
from services.content import PROJECT
from tests.integration.flows.failures import fails
from tests.integration.flows.platform import Platform, running_airbyte

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ("your-airbyte-connection-uuid", "AIRBYTE_CONNECTION_ID still holds its placeholder"),
        ("flights", "'flights' is not an Airbyte connection id"),
    ],
)
def test_a_connection_id_that_cannot_be_one_is_refused(platform: Platform, connection: str, words: str) -> None:
    assert words in fails(airbyte_sync, ConfigurationError, connection_ids=[connection])


def test_an_unknown_connection_is_named_with_where_to_find_the_known_ones(platform: Platform) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    text = fails(airbyte_sync, UnknownConnection, connection_ids=[unknown])
    assert unknown in text
    assert f"{platform.airbyte}/connections" in text


def test_airbyte_that_is_not_running_is_named_by_its_address(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("AIRBYTE_SERVER_URL", f"http://127.0.0.1:{port}/api/public/v1")
    text = fails(airbyte_sync, AirbyteUnavailable)
    assert f"does not answer at http://127.0.0.1:{port}/api/public/v1" in text
    assert "make dev" in text


@pytest.mark.parametrize(
    ("status", "kind"), [(500, AirbyteUnavailable), (429, AirbyteUnavailable), (401, AirbyteUnauthorised)]
)
def test_airbyte_that_keeps_refusing_is_told_apart(platform: Platform, status: int, kind: type[PlatformError]) -> None:
    platform.fault("status", status=status, operation="*")
    assert f"{status}" in fails(airbyte_sync, kind)


@pytest.mark.parametrize("status", [500, 429, 502])
def test_a_refusal_that_passes_is_waited_out(platform: Platform, status: int) -> None:
    platform.fault("status", status=status, operation="*", times=2)
    assert airbyte_sync()[0].job_id == 1


def test_credentials_that_are_not_accepted_are_named_by_their_variables(
    tmp_path: Path, platform: Platform, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRBYTE_CLIENT_ID", "me")
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "not-the-secret")
    with running_airbyte(tmp_path, platform.bucket, s3_url, client_id="me", client_secret="the-secret") as url:
        monkeypatch.setenv("AIRBYTE_SERVER_URL", url)
        text = fails(airbyte_sync, AirbyteUnauthorised)
    assert "AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET" in text
    assert "not-the-secret" not in text


def test_a_sync_that_fails_says_why(platform: Platform) -> None:
    platform.fault("fail", reason="the source went away")
    assert "the source went away" in fails(airbyte_sync, SyncFailed)


def test_a_sync_that_someone_cancels_is_told_apart(platform: Platform) -> None:
    platform.fault("cancelled")
    assert "cancelled outside this flow" in fails(airbyte_sync, SyncCancelled)


def test_a_sync_that_never_ends_is_cancelled_at_its_deadline(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRBYTE_SYNC_TIMEOUT_SECONDS", "1")
    stuck = platform.fault("stuck_running", connectionId=CONNECTION_ID)
    assert "AIRBYTE_SYNC_TIMEOUT_SECONDS" in fails(airbyte_sync, SyncTimedOut)
    stuck.end()
    monkeypatch.setenv("AIRBYTE_SYNC_TIMEOUT_SECONDS", "60")
    assert airbyte_sync()[0].job_id == 2


def test_a_wait_that_is_tried_again_keeps_the_deadline_of_the_sync(platform: Platform) -> None:
    platform.fault("stuck_running", connectionId=CONNECTION_ID)
    with AirbyteClient(platform.airbyte) as client:
        job, _ = client.start_sync(CONNECTION_ID)
        began = datetime.now(UTC) - timedelta(hours=2)
        started = StartedSync(connection_id=CONNECTION_ID, connection_name="a", job=job, adopted=False, at=began)
        with pytest.raises(SyncTimedOut, match="after 3600 s and was cancelled"):
            wait_for_sync(started)
        assert client.job(job.job_id).status == "cancelled"


def test_a_sync_that_ended_past_its_deadline_while_nobody_asked_has_succeeded(platform: Platform) -> None:
    with AirbyteClient(platform.airbyte) as client:
        job, _ = client.start_sync(CONNECTION_ID)
        client.wait(job, timeout=30)
    began = datetime.now(UTC) - timedelta(hours=2)
    started = StartedSync(connection_id=CONNECTION_ID, connection_name="a", job=job, adopted=False, at=began)
    assert wait_for_sync(started).job_id == job.job_id


@pytest.mark.parametrize(("of_another", "status"), [(False, "cancelled"), (True, "running")])
def test_a_run_that_is_interrupted_cancels_its_own_sync_and_no_other(
    platform: Platform, of_another: bool, status: str
) -> None:
    platform.fault("stuck_running", connectionId=CONNECTION_ID)
    with AirbyteClient(platform.airbyte) as client:
        if of_another:
            client.start_sync(CONNECTION_ID)
        with subprocess.Popen(
            [sys.executable, "flows/airbyte_sync.py"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as run:
            assert run.stdout
            assert any(": running, 0 rows" in line for line in run.stdout)
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=60)
        assert client.job(1).status == status

"""Of several connections each one's outcome stands alone; a run that is interrupted leaves none of its syncs behind."""

import signal
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from blocks.airbyte.client import AirbyteClient
from blocks.airbyte.errors import AirbyteError, SyncCancelled, SyncFailed, SyncTimedOut, UnknownConnection
from blocks.batches import FilesMissing
from blocks.errors import ConfigurationError, PlatformError
from blocks.landing import LandedFile, listing
from commands.embedded.stack import CONNECTION_ID
from flows.airbyte_sync import airbyte_sync
from flows.full_pipeline import full_pipeline
from services.content import PROJECT
from tests.integration.flows.platform import Platform, flights

pytestmark = pytest.mark.usefixtures("no_pauses")

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def second(platform: Platform) -> str:
    """The id of a second connection, which loads the same files into folders of its own."""
    with httpx.Client(base_url=platform.airbyte) as http:
        first = http.get(f"/connections/{CONNECTION_ID}").raise_for_status().json()
        wanted = {name: first[name] for name in ("sourceId", "destinationId", "configurations")}
        created = http.post("/connections", json={**wanted, "name": "second", "prefix": "second_"})
    return str(created.raise_for_status().json()["connectionId"])


@pytest.fixture
def weather(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a connection that the profile has, too; its source reads the weather of the year 2014 alone."""
    with httpx.Client(base_url=platform.airbyte) as http:
        first = http.get(f"/connections/{CONNECTION_ID}").raise_for_status().json()
        source = http.get(f"/sources/{first['sourceId']}").raise_for_status().json()
        stream = next(each for each in source["configuration"]["streams"] if each["name"] == "weather")
        configuration = {**source["configuration"], "sourceType": "s3", "streams": [{**stream, "globs": ["**/*2014*"]}]}
        made = http.post("/sources", json={**source, "name": "weather", "configuration": configuration})
        wanted = {name: first[name] for name in ("destinationId", "workspaceId")}
        streams = {"streams": [{"name": "weather", "syncMode": "incremental_append"}]}
        body = {**wanted, "sourceId": made.raise_for_status().json()["sourceId"], "configurations": streams}
        created = http.post("/connections", json={**body, "name": "weather", "prefix": "second_"})
    id_ = str(created.raise_for_status().json()["connectionId"])
    monkeypatch.setenv("AIRBYTE_CONNECTION_IDS", f"{id_},{CONNECTION_ID}")
    return id_


def landed(platform: Platform, stream: str) -> list[LandedFile]:
    """The files of a stream."""
    return list(listing(platform.s3, platform.bucket, f"inbound/{stream}/"))


def failing(platform: Platform, second: str) -> str:
    platform.fault("fail", reason="the second one's source went away", connectionId=second)
    return second


def cancelled(platform: Platform, second: str) -> str:
    platform.fault("cancelled", connectionId=second)
    return second


def stuck(platform: Platform, second: str) -> str:
    platform.fault("stuck_running", connectionId=second)
    return second


@pytest.mark.parametrize(
    ("broken", "kind", "words"),
    [
        (failing, SyncFailed, "the second one's source went away"),
        pytest.param(cancelled, SyncCancelled, "cancelled outside this flow", marks=pytest.mark.exhaustive),
        pytest.param(stuck, SyncTimedOut, "AIRBYTE_SYNC_TIMEOUT_SECONDS", marks=pytest.mark.exhaustive),
        (lambda *_: UNKNOWN, UnknownConnection, UNKNOWN),
        pytest.param(
            lambda *_: "flights",
            AirbyteError,
            "'flights' is not an Airbyte connection id",
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_whatever_keeps_one_connection_from_its_end_the_rows_of_the_other_are_published(
    platform: Platform,
    second: str,
    broken: Callable[[Platform, str], str],
    kind: type[PlatformError],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    if broken is stuck:
        monkeypatch.setenv("AIRBYTE_SYNC_TIMEOUT_SECONDS", "8")
    other = broken(platform, second)
    with pytest.raises(kind, match=words):
        full_pipeline(connection_ids=[other, CONNECTION_ID])
    assert platform.count("fct_flights") == 20


def test_a_run_whose_connections_all_fail_gives_every_reason_and_the_rows_of_all(
    platform: Platform, second: str
) -> None:
    platform.put("airlines/a.csv", "carrier,name\nUA,United\n")
    platform.put("weather/broken.csv", "origin,year\nEWR\n")
    with pytest.raises(SyncFailed, match="3 of 3 syncs failed") as caught:
        airbyte_sync([CONNECTION_ID, second, UNKNOWN])
    assert str(caught.value).count("weather/broken.csv, line 2") == 2
    assert UNKNOWN in str(caught.value)
    assert caught.value.rows == 2


def test_names_from_a_server_command_no_terminal(
    platform: Platform, second: str, caplog: pytest.LogCaptureFixture
) -> None:
    httpx.patch(f"{platform.airbyte}/connections/{second}", json={"name": "\x1b[31mred"}).raise_for_status()
    platform.put("airlines/\x1b[2J.csv", "carrier,name\n1\n")
    with pytest.raises(SyncFailed, match=r"airlines/\\x1b\[2J.csv"):
        airbyte_sync([second])
    assert r"\x1b[31mred" in caplog.text
    assert "\x1b" not in caplog.text


def test_a_connection_that_is_named_twice_is_synced_once(platform: Platform) -> None:
    platform.put("airlines/a.csv", "carrier,name\nUA,United\n")
    assert [each.rows for each in airbyte_sync([CONNECTION_ID, CONNECTION_ID])] == [1]


def test_one_connection_without_results_fails_as_itself(platform: Platform) -> None:
    with pytest.raises(ConfigurationError, match="'flights' is not an Airbyte connection id"):
        airbyte_sync(["flights"])


@pytest.mark.parametrize(
    ("refusals", "status"), [(3, "cancelled"), pytest.param(None, "running", marks=pytest.mark.exhaustive)]
)
def test_an_interrupted_run_cancels_all_its_syncs_and_stays_interrupted_even_if_airbyte_refuses(
    platform: Platform, second: str, refusals: int | None, status: str
) -> None:
    for id_ in (CONNECTION_ID, second):
        platform.fault("stuck_running", connectionId=id_)
    script = f"from flows.airbyte_sync import airbyte_sync; airbyte_sync(['{CONNECTION_ID}', '{second}'])"
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout
        for name in ("second", "Landing to the raw lake"):
            assert any(f"{name}: running, 0 rows" in line for line in run.stdout)
        platform.fault("status", status=502, operation="cancelJob", **({"times": refusals} if refusals else {}))
        run.send_signal(signal.SIGINT)
        try:
            said = run.communicate(timeout=180)[0]
        finally:
            run.kill()
    assert "KeyboardInterrupt" in said
    assert said.count("could not be cancelled and may still run") >= (2 if refusals is None else 0)
    with AirbyteClient(platform.airbyte) as client:
        assert {client.job(number).status for number in (1, 2)} == {status}


def test_a_file_goes_to_the_connections_that_read_it(platform: Platform, weather: str) -> None:
    with AirbyteClient(platform.airbyte) as client:

        def of(*keys: str, bucket: str = platform.bucket) -> list[str]:
            return client.connections_of([CONNECTION_ID, weather], bucket, [f"inbound/{each}" for each in keys])

        assert of("flights/a.csv") == [CONNECTION_ID]
        assert of("weather/2014.csv") == [CONNECTION_ID, weather]
        assert of("weather/2013.csv", "flights/a.csv") == [CONNECTION_ID]
        assert of("from/2014.csv", "nobody/a.csv") == [weather]
        assert of("nobody/a.csv") == of("flights/a.csv", bucket="another") == []
        assert client.connections_of([CONNECTION_ID], platform.bucket, ["elsewhere/flights/a.csv"]) == []


@pytest.mark.exhaustive
def test_a_run_for_files_syncs_the_connections_that_read_them_and_a_run_for_none_syncs_all(
    platform: Platform, weather: str
) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    for files, synced in ((landed(platform, "flights"), {CONNECTION_ID}), (None, {CONNECTION_ID, weather})):
        assert {each.connection_id for each in full_pipeline(files=files).syncs} == synced


def test_a_file_that_no_connection_reads_is_missed_once_all_are_synced(platform: Platform, weather: str) -> None:
    platform.put_reference()
    platform.put("flights/2013-01-01.csv.gz", flights(1))
    platform.put("nobody/a.csv", "a\n1\n")
    with pytest.raises(FilesMissing, match=r"nobody/a\.csv"):
        full_pipeline(files=landed(platform, "nobody"))
    with AirbyteClient(platform.airbyte) as client:
        assert client.newest_job(weather)

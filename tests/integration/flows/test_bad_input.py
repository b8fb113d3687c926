"""Whatever is wrong, the run says what, where and what to do; nothing is lost, and mending it completes the work."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prefect.artifacts import Artifact

from blocks.airbyte.client import AirbyteClient
from blocks.airbyte.errors import (
    AirbyteUnauthorised,
    AirbyteUnavailable,
    SyncCancelled,
    SyncFailed,
    SyncTimedOut,
    UnknownConnection,
)
from blocks.batches import OthersFailed
from blocks.dbt.errors import DbtFailed, StaleSource, WarehouseLocked
from blocks.errors import ConfigurationError, PlatformError
from blocks.landing import LandedFile, listing
from flows.airbyte_sync import StartedSync, airbyte_sync, start_sync, wait_for_sync
from flows.dbt_transform import dbt_deps, dbt_transform, publish, run_dbt
from flows.full_pipeline import FilesMissing, full_pipeline, source_freshness
from services.content import PROJECT
from services.embedded.processes import free_ports
from services.embedded.stack import CONNECTION_ID
from tests.integration.flows.modes import Mode, OnSnowflake, every_mode
from tests.integration.flows.platform import Platform, flights, newest_run, running_airbyte


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry as often as ever, but at once."""
    for task in (start_sync, wait_for_sync, dbt_deps, run_dbt, publish, source_freshness):
        monkeypatch.setattr(task, "retry_delay_seconds", 0)
    monkeypatch.setattr("blocks.airbyte.client.FIRST_POLL_SECONDS", 0.05)


def fails(flow, kind: type[PlatformError], **parameters) -> str:
    """Run a flow that must fail; the error's text, which the flow run's state carries."""
    with pytest.raises(kind) as caught:
        flow(**parameters)
    text = str(caught.value)
    state = newest_run(flow.name).state
    assert state is not None
    assert state.type == "FAILED"
    assert text[:200] in (state.message or "")
    return text


def of_the_last_run(key: str) -> list[dict[str, Any]]:
    """The rows of an artifact of the newest run of the pipeline."""
    found = Artifact.get(key)
    assert found is not None
    assert found.flow_run_id == newest_run("full_pipeline").id
    return json.loads(str(found.data))


# -- files ---------------------------------------------------------------------------------------------------------


@every_mode
def test_a_broken_row_fails_its_stream_by_file_and_line_and_the_mended_file_completes_it(
    loaded: Platform, mode: Mode
) -> None:
    good = flights(2)
    lines = good.splitlines(keepends=True)
    lines[5] = "2013,1,2,one field too few\n"
    key = loaded.put("flights/2013-01-02.csv.gz", "".join(lines))
    loaded.put(
        "weather/late.csv.gz", "origin,year,month,day,hour,temp,time_hour\nEWR,2013,2,1,1,30.5,2013-02-01T06:00:00Z\n"
    )
    text = fails(full_pipeline, SyncFailed)
    assert key in text
    assert "line 6" in text
    assert loaded.count("fct_flights") == (24 if mode.like_airbyte else 20), "Airbyte has loaded the rows before it"
    query = f"select count(*) from {loaded.schema}_staging.stg_weather where temperature_f = 30.5"
    assert loaded.built(query) == [(1,)]
    loaded.put("flights/2013-01-02.csv.gz", good)
    full_pipeline(files=[LandedFile(key=key)])
    assert loaded.count("fct_flights") == 40


@every_mode
def test_a_batch_beside_a_broken_file_is_told_as_loaded_and_its_rows_are_counted(loaded: Platform) -> None:
    broken = loaded.put("flights/2013-01-02.csv.gz", flights(2) + "2013,1,2,one field too few\n")
    header = "origin,year,month,day,hour,temp,time_hour\n"
    key = loaded.put("weather/late.csv.gz", f"{header}EWR,2013,2,1,1,30.5,2013-02-01T06:00:00Z\n")
    text = fails(full_pipeline, OthersFailed, files=[LandedFile(key=key)])
    assert broken in text
    [weather] = [each for each in of_the_last_run("row-counts") if each["stream"] == "weather"]
    assert weather["written"] == weather["found in raw"] == 1
    assert of_the_last_run("freshness")


@every_mode
def test_a_missing_column_becomes_null_and_an_added_one_is_kept_in_raw(loaded: Platform) -> None:
    header, *lines = flights(2).splitlines()
    without_tailnum = header.replace("tailnum,", "")
    rows = [",".join(field for at, field in enumerate(line.split(",")) if at != 11) + ",gate 7" for line in lines]
    loaded.put("flights/2013-01-02.csv.gz", "\n".join([without_tailnum + ",gate", *rows]) + "\n")
    full_pipeline()
    assert loaded.query("select count(*), count(tailnum) from fct_flights where flight_date = '2013-01-02'") == [
        (20, 0)
    ]
    assert loaded.built(f"select count(*) from {loaded.raw('flights')} where gate = 'gate 7'") == [(20,)]


@every_mode
def test_a_retyped_value_becomes_null_and_dbt_warns_of_it(loaded: Platform, mode: Mode) -> None:
    header, first, *rest = flights(2).splitlines()
    fields = first.split(",")
    fields[15] = "far away"
    loaded.put("flights/2013-01-02.csv.gz", "\n".join([header, ",".join(fields), *rest]) + "\n")
    result = full_pipeline()
    assert loaded.query("select count(*) from fct_flights where distance_miles is null") == [(1,)]
    by_whom = "every_value_is_cast" if mode.like_airbyte else "no_airbyte_changes"
    assert [node.name for node in result.dbt.nodes if node.status == "warn"] == [f"source_{by_whom}_raw_flights_"]


@every_mode
@pytest.mark.parametrize("content", [b"", flights(2).splitlines()[0] + "\n"], ids=["0 bytes", "only a header"])
def test_an_empty_file_is_named_and_harms_nothing(loaded: Platform, content: str | bytes) -> None:
    key = loaded.put("flights/empty.csv", content)
    text = fails(full_pipeline, FilesMissing, files=[LandedFile(key=key)])
    assert key in text
    assert "empty" in text
    assert loaded.count("fct_flights") == 20


@every_mode
def test_objects_that_are_no_files_are_named_and_hold_up_no_run(
    loaded: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    loaded.put("flights/2013-01-02.csv.gz", flights(2))
    for name in ("_SUCCESS", "_committed_7", ".2013-01-02.csv.gz.crc", "notes.json"):
        loaded.put(f"flights/{name}", "" if name == "_SUCCESS" else "x")
    loaded.put("flights/empty.csv", "")
    batch = [file for file in listing(loaded.s3, loaded.bucket, "inbound/flights/") if "01-01" not in file.key]
    assert len(batch) == 6
    full_pipeline(files=batch)
    assert loaded.count("fct_flights") == 40
    for file in batch[:-1]:
        assert f"{file.key} brought no row" in caplog.text or file.key.endswith(".gz")
    assert "it has the suffix .json" in caplog.text


@every_mode
def test_a_file_that_is_not_gzip_though_named_so_is_named(loaded: Platform) -> None:
    key = loaded.put("flights/2013-01-02.csv.gz", flights(2).encode())
    text = fails(full_pipeline, SyncFailed)
    assert key in text
    assert "gzip" in text
    assert loaded.count("fct_flights") == 20


@every_mode
def test_the_same_file_again_moves_nothing_and_a_changed_one_replaces_its_rows(loaded: Platform, mode: Mode) -> None:
    loaded.put("flights/2013-01-01.csv.gz", flights(1))
    assert full_pipeline().syncs[0].rows == (20 if mode.like_airbyte else 0), "Airbyte goes by the date"
    assert loaded.count("fct_flights") == 20
    loaded.put("flights/2013-01-01.csv.gz", flights(1).replace(",1400,5,15,", ",1401,5,15,"))
    assert full_pipeline().syncs[0].rows == 20
    assert loaded.count("fct_flights") == 20
    assert loaded.query("select count(*) from fct_flights where distance_miles = 1401") == [(1,)]


# -- Airbyte -------------------------------------------------------------------------------------------------------


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


# -- dbt and the warehouse -----------------------------------------------------------------------------------------


@pytest.fixture
def own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project that a test may break."""
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setenv("DBT_PROJECT_DIR", str(project))
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    return project


@every_mode
def test_a_failing_dbt_test_is_named_and_the_published_tables_stay(loaded: Platform, own_project: Path) -> None:
    (own_project / "tests" / "no_flight_to_iah.sql").write_text(
        "select * from {{ ref('fct_flights') }} where dest = 'IAH'"
    )
    loaded.put("flights/2013-01-02.csv.gz", flights(2))
    text = fails(full_pipeline, DbtFailed)
    [counted] = [each for each in of_the_last_run("row-counts") if each["stream"] == "flights"]
    assert counted["written"] == counted["found in raw"] == 20
    assert of_the_last_run("freshness")
    assert "no_flight_to_iah (fail)" in text
    assert loaded.count("fct_flights") == 20


def test_packages_that_were_cleaned_away_are_installed_again(
    platform: Platform, own_project: Path, tmp_path: Path
) -> None:
    (tmp_path / "dates").mkdir()
    (tmp_path / "dates" / "dbt_project.yml").write_text("{name: dates, version: 1.0.0, config-version: 2}")
    (own_project / "packages.yml").write_text(f"packages: [{{local: {tmp_path / 'dates'}}}]")
    installed = own_project / "dbt_packages" / "dates" / "dbt_project.yml"
    for _ in range(2):
        dbt_deps()
        assert installed.is_file()
        shutil.rmtree(own_project / "dbt_packages")
    states = [dbt_deps(return_state=True).name for _ in range(3)]
    assert states == ["Completed", "Completed", "Cached"]
    assert installed.is_file()


def test_a_model_that_does_not_compile_is_named(loaded: Platform, own_project: Path) -> None:
    (own_project / "models" / "marts" / "broken.sql").write_text("select * from {{ ref('nowhere') }}")
    text = fails(dbt_transform, DbtFailed)
    assert "broken" in text
    assert "nowhere" in text


@contextmanager
def held(warehouse: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process has the warehouse open, to the end of its standard input."""
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold, warehouse], **pipes) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"open\n"
        yield holder


def test_a_warehouse_that_another_process_has_open_is_named_with_that_process(loaded: Platform) -> None:
    with held(loaded.warehouse) as holder:
        text = fails(dbt_transform, WarehouseLocked)
    assert f"process {holder.pid}" in text
    assert str(loaded.warehouse) in text
    dbt_transform()


def test_a_reader_that_closes_the_warehouse_in_time_does_not_keep_it_from_being_published(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb.connect(str(platform.warehouse)).close()
    with held(platform.warehouse) as holder:
        worth_it = publish.retry_condition_fn
        assert worth_it

        def close_and_decide(*failure: Any) -> bool:
            holder.communicate()
            return bool(worth_it(*failure))

        monkeypatch.setattr(publish, "retry_condition_fn", close_and_decide)
        publish()
        assert holder.poll() == 0
    assert platform.published.is_file()


def test_a_disk_without_room_is_told_and_the_published_tables_stay(
    loaded: Platform, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLISHED_PATH", str(small_disk / "published.duckdb"))
    text = fails(dbt_transform, PlatformError)
    assert "disk is full" in text
    assert list(small_disk.iterdir()) == []
    assert loaded.count("fct_flights") == 20


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 64 KiB."""
    disk = tmp_path / "small"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can be mounted by root on Linux alone: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_missing_dbt_project_is_named_with_its_variable_at_once(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DBT_PROJECT_DIR", str(tmp_path / "nowhere"))
    text = fails(dbt_transform, ConfigurationError)
    assert str(tmp_path / "nowhere") in text
    assert "DBT_PROJECT_DIR" in text
    assert "Retry 1/2" not in caplog.text


def test_an_unknown_profile_name_is_refused_with_how_to_save_one(platform: Platform) -> None:
    text = fails(full_pipeline, ConfigurationError, profile="prodution")
    assert "'prodution'" in text
    assert "python -m blocks.connections --name prodution" in text


@every_mode
def test_a_source_past_its_threshold_fails_the_run_with_its_age(
    loaded: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    age_everything(loaded, hours=30)
    text = fails(full_pipeline, StaleSource)
    assert re.search(r"raw\.flights is stale: its newest row was loaded 30\.\d h ago", text)
    assert "FRESHNESS_THRESHOLD_HOURS" in text
    monkeypatch.setenv("FRESHNESS_THRESHOLD_HOURS", "31")
    full_pipeline()


def age_everything(platform: Platform, hours: int) -> None:
    """Make every raw row so much older."""
    if isinstance(platform, OnSnowflake):
        for stream in ("flights", "weather"):
            older = f"dateadd(hour, -{hours}, _airbyte_extracted_at)"
            platform.built(f"update {platform.raw(stream)} set _airbyte_extracted_at = {older}")
    for file in platform.lake.glob("*/*.parquet"):
        older = file.with_suffix(".older")
        columns = f"* replace (_airbyte_extracted_at - interval {hours} hours as _airbyte_extracted_at)"
        with duckdb.connect() as connection:
            connection.execute(f"copy (select {columns} from '{file}') to '{older}' (format parquet)")
        older.replace(file)

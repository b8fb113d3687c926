"""The run names what failed in dbt, in the warehouse or on the disk, and the published tables stay as they were."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from blocks.dbt.errors import DbtFailed, StaleSource, WarehouseLocked
from blocks.errors import ConfigurationError, PlatformError
from flows.dbt_transform import dbt_deps, dbt_transform, publish
from flows.full_pipeline import full_pipeline
from services.content import PROJECT
from tests.integration.flows.failures import fails, of_the_last_run
from tests.integration.flows.modes import OnSnowflake, every_mode
from tests.integration.flows.platform import Platform, flights

pytestmark = pytest.mark.usefixtures("no_pauses")


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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
def test_a_warehouse_that_another_process_has_open_is_named_with_that_process(loaded: Platform) -> None:
    with held(loaded.warehouse) as holder:
        text = fails(dbt_transform, WarehouseLocked)
    assert f"process {holder.pid}" in text
    assert str(loaded.warehouse) in text
    dbt_transform()


@pytest.mark.exhaustive
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

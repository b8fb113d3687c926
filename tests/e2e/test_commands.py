"""The commands for the platform in Docker, as a person types them in a clone. They come first: its start is one."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.clone import Clone
from tests.e2e.landing import SAMPLE_FLIGHTS, flights

# The first test waits for the images to be built, too.
pytestmark = pytest.mark.timeout(600)


def test_up_says_where_to_look_and_what_to_try(up: str) -> None:
    assert "All services are healthy" in up
    assert "Prefect   http://127.0.0.1:" in up
    assert "make drop FILE=" in up


def test_sql_answers_from_the_published_tables(up: str, clone: Clone) -> None:
    answer = clone.make("sql", "Q=select count(*) as flights from fct_flights")
    assert answer.returncode == 0, answer.stdout
    assert str(SAMPLE_FLIGHTS) in answer.stdout.replace(",", "")


@pytest.mark.exhaustive
def test_dbt_shows_the_rows_of_the_platforms_own_warehouse(up: str, clone: Clone) -> None:
    shown = clone.make("dbt", "PROFILE=local", "ARGS=show --select dim_airlines --limit 100 --output json")
    assert shown.returncode == 0, shown.stdout
    assert "United Air Lines" in shown.stdout


def test_drop_follows_what_the_file_sets_off(up: str, clone: Clone, tmp_path: Path) -> None:
    file = tmp_path / "flights-2013-02-20.csv"
    file.write_bytes(flights(20))
    dropped = clone.make("drop", f"FILE={file}", "STREAM=flights")
    assert dropped.returncode == 0, dropped.stdout
    assert "inbound/flights/flights-2013-02-20.csv" in dropped.stdout
    again = clone.make("drop", f"FILE={file}", "STREAM=flights")
    assert again.returncode == 0, again.stdout
    assert "already has this content" in again.stdout


def test_run_ends_with_the_result_of_the_deployment(up: str, clone: Clone) -> None:
    well = clone.make("run", "FLOW=dbt_transform", 'PARAMETERS={"select": "dim_airlines"}')
    assert well.returncode == 0, well.stdout
    assert "dim_airlines" in well.stdout
    failing = clone.make("run", "FLOW=airbyte_sync", 'PARAMETERS={"connection_ids": ["nonsense"]}')
    assert failing.returncode != 0
    assert "'nonsense' is not an Airbyte connection id" in failing.stdout
    unknown = clone.make("run", "FLOW=nonsense")
    assert unknown.returncode != 0
    assert "full-pipeline" in unknown.stdout


def test_status_shows_incidents_and_the_sensor_of_the_platform(up: str, clone: Clone) -> None:
    shown = clone.make("status")
    # Other tests make failures on the same platform.
    assert (shown.returncode == 0) == ("no incident is open" in shown.stdout), shown.stdout
    assert "looks at files" in shown.stdout


def test_doctor_finds_nothing_that_fails_on_a_platform_that_has_just_come_up(up: str, clone: Clone) -> None:
    report = clone.make("doctor", "ARGS=--json")
    assert report.returncode == 0, report.stdout
    found = json.loads(report.stdout)
    checks = {each["check"] for each in found["findings"]}
    assert found["ok"]
    assert {"profile", "ports", "s3 listing", "airbyte streams", "warehouse file", "blocks", "disk"} <= checks


@pytest.mark.exhaustive
def test_doctor_names_what_fails_and_what_mends_it(up: str, clone: Clone) -> None:
    declared = clone.folder / "prefect.yaml"
    original = declared.read_text()
    declared.write_text(original.replace("Runs only the load.", "The load alone."))
    report, plan = clone.make("doctor"), clone.make("promote")
    declared.write_text(original)
    assert report.returncode != 0
    assert "FAIL  deployments" in report.stdout
    assert "-> `make up`, or `make promote APPLY=1`" in report.stdout
    assert plan.returncode == 0, plan.stdout
    assert "deployment airbyte-sync: description: 'Runs only the load.' -> 'The load alone.'" in plan.stdout
    assert "Nothing was changed." in plan.stdout


def test_ps_shows_every_service(up: str, clone: Clone) -> None:
    shown = clone.make("ps").stdout
    assert {"localstack", "airbyte", "postgres", "prefect-server", "worker", "sensor"} <= set(shown.split())


def test_an_unknown_profile_or_a_missing_value_stops_before_any_container_starts(clone: Clone) -> None:
    before = clone.containers()
    unknown = clone.make("up", "PROFILE=prodution")
    assert unknown.returncode != 0
    assert "prodution" in unknown.stdout
    local = clone.folder / "profiles" / "local.env"
    original = local.read_text()
    local.write_text(original.replace("S3_BUCKET=my-data-lake-landing\n", ""))
    missing = clone.make("up")
    local.write_text(original)
    assert missing.returncode != 0
    assert "S3_BUCKET" in missing.stdout
    assert clone.containers() == before


def test_a_clone_does_not_touch_the_platform_of_another(up: str, clone: Clone, tmp_path: Path) -> None:
    shutil.copytree(clone.folder, tmp_path / "other")
    refused = Clone(tmp_path / "other", clone.name).make("reset", "YES=1")
    assert refused.returncode != 0
    assert f"belongs to the clone in {clone.folder}" in refused.stdout
    assert clone.containers()


def test_no_verb_and_no_choice_of_a_profile_changes_a_file(
    up: str, clone: Clone, files_at_first: dict[Path, bytes]
) -> None:
    listed = clone.make("ps", "PROFILE=rehearsal")
    assert listed.returncode == 0, listed.stdout
    assert clone.files() == files_at_first


def test_without_an_engine_up_says_so_and_names_what_needs_none(clone: Clone) -> None:
    failed = clone.make("up", DOCKER_HOST="tcp://127.0.0.1:1")
    assert failed.returncode != 0
    assert "No Docker engine answers" in failed.stdout
    assert "make demo" in failed.stdout


@pytest.mark.exhaustive
def test_a_test_alert_reaches_the_local_receiver(up: str, clone: Clone) -> None:
    sent = clone.make("alert-test")
    assert sent.returncode == 0, sent.stdout
    assert "This is a test of the whole chain" in clone.make("alerts").stdout

"""The verbs of the platform in Docker, as a person types them in a clone."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.testing.fixtures import owner
from services.testing.platform import NAME
from tests.e2e.landing import SAMPLE_FLIGHTS, flights

INHERITED = ("PATH", "HOME", "PIP_CONFIG_FILE", "BUILD_CA_FILE")


class Clone:
    """A clone in which `make VERB` is called, under a Compose project of its own and on free ports."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run make; standard error goes to standard output."""
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        ports = dict.fromkeys(("PREFECT_PORT", "AIRBYTE_PORT", "S3_PORT"), "0")
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env={**kept, **ports, "COMPOSE_PROJECT_NAME": self.name, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=400,
        )

    def files(self) -> dict[Path, bytes]:
        """What is in the clone, but for what git ignores."""
        ignored = {"__pycache__", "secrets", "data"}
        there = [each for each in self.folder.rglob("*") if each.is_file() and not ignored & set(each.parts)]
        return {each: each.read_bytes() for each in there}

    def containers(self) -> list[str]:
        """The ids of the project's containers."""
        label = f"label=com.docker.compose.project={self.name}"
        listed = subprocess.run(["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=True)
        return listed.stdout.split()


@pytest.fixture(scope="module")
def clone(project: Path, pytestconfig: pytest.Config) -> Iterator[Clone]:
    clone = Clone(project, f"{NAME}-{owner(pytestconfig)}-{uuid4().hex[:8]}")
    yield clone
    clone.make("reset", "YES=1")


@pytest.fixture(scope="module")
def files(clone: Clone) -> dict[Path, bytes]:
    """The clone's files before its first verb."""
    return clone.files()


@pytest.fixture(scope="module")
def up(clone: Clone, files: dict[Path, bytes]) -> str:
    """What `make up` prints."""
    done = clone.make("up")
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_up_says_where_to_look_and_what_to_try(up: str) -> None:
    assert "All services are healthy" in up
    assert "Prefect   http://127.0.0.1:" in up
    assert "make drop FILE=" in up


def test_sql_answers_from_the_published_tables(up: str, clone: Clone) -> None:
    answer = clone.make("sql", "Q=select count(*) as flights from fct_flights")
    assert answer.returncode == 0, answer.stdout
    assert str(SAMPLE_FLIGHTS) in answer.stdout.replace(",", "")


def test_drop_follows_what_the_file_sets_off(up: str, clone: Clone, tmp_path: Path) -> None:
    file = tmp_path / "flights-2013-02-20.csv"
    file.write_bytes(flights(20))
    dropped = clone.make("drop", f"FILE={file}", "STREAM=flights")
    assert dropped.returncode == 0, dropped.stdout
    assert "inbound/flights/flights-2013-02-20.csv" in dropped.stdout
    again = clone.make("drop", f"FILE={file}", "STREAM=flights")
    assert again.returncode == 0, again.stdout
    assert "nothing is new" in again.stdout


def test_run_ends_with_the_result_of_the_deployment(up: str, clone: Clone) -> None:
    well = clone.make("run", "FLOW=dbt_transform", 'PARAMETERS={"select": "dim_airlines"}')
    assert well.returncode == 0, well.stdout
    assert "dim_airlines" in well.stdout
    failing = clone.make("run", "FLOW=airbyte_sync", 'PARAMETERS={"connection_ids": ["nonsense"]}')
    assert failing.returncode != 0
    assert "'nonsense' is no Airbyte connection id" in failing.stdout
    unknown = clone.make("run", "FLOW=nonsense")
    assert unknown.returncode != 0
    assert "full-pipeline" in unknown.stdout


def test_status_shows_the_sensor_of_the_platform(up: str, clone: Clone) -> None:
    shown = clone.make("status")
    assert shown.returncode == 0, shown.stdout
    assert "looks at files" in shown.stdout


def test_doctor_finds_nothing_that_fails_on_a_platform_that_has_just_come_up(up: str, clone: Clone) -> None:
    report = clone.make("doctor", "ARGS=--json")
    assert report.returncode == 0, report.stdout
    found = json.loads(report.stdout)
    checks = {each["check"] for each in found["findings"]}
    assert found["ok"]
    assert {"profile", "ports", "s3 listing", "airbyte streams", "warehouse file", "blocks", "disk"} <= checks


def test_doctor_names_what_fails_and_what_mends_it(up: str, clone: Clone, project: Path) -> None:
    declared = project / "prefect.yaml"
    original = declared.read_text()
    declared.write_text(original.replace("Only the load.", "The load alone."))
    report, plan = clone.make("doctor"), clone.make("promote")
    declared.write_text(original)
    assert report.returncode != 0
    assert "FAIL  deployments" in report.stdout
    assert "-> `make promote PROFILE=… APPLY=1`" in report.stdout
    assert plan.returncode == 0, plan.stdout
    assert "deployment airbyte-sync: description: 'Only the load.' -> 'The load alone.'" in plan.stdout
    assert "Nothing was changed." in plan.stdout


def test_ps_shows_every_service(up: str, clone: Clone) -> None:
    shown = clone.make("ps").stdout
    assert {"localstack", "airbyte", "postgres", "prefect-server", "worker", "sensor"} <= set(shown.split())


def test_an_unknown_profile_or_a_missing_value_stops_before_any_container_starts(clone: Clone, project: Path) -> None:
    before = clone.containers()
    unknown = clone.make("up", "PROFILE=prodution")
    assert unknown.returncode != 0
    assert "prodution" in unknown.stdout
    local = project / "profiles" / "local.env"
    original = local.read_text()
    local.write_text(original.replace("S3_BUCKET=my-data-lake-landing\n", ""))
    missing = clone.make("up")
    local.write_text(original)
    assert missing.returncode != 0
    assert "S3_BUCKET" in missing.stdout
    assert clone.containers() == before


def test_a_clone_does_not_touch_the_platform_of_another(up: str, clone: Clone, project: Path, tmp_path: Path) -> None:
    shutil.copytree(project, tmp_path / "other")
    refused = Clone(tmp_path / "other", clone.name).make("reset", "YES=1")
    assert refused.returncode != 0
    assert f"that of the clone {project}" in refused.stdout
    assert clone.containers()


def test_no_verb_and_no_choice_of_a_profile_changes_a_file(up: str, clone: Clone, files: dict[Path, bytes]) -> None:
    listed = clone.make("ps", "PROFILE=rehearsal")
    assert listed.returncode == 0, listed.stdout
    assert clone.files() == files


@pytest.mark.exhaustive
def test_the_platform_needs_no_network(up: str, clone: Clone) -> None:
    proved = clone.make("verify-offline")
    assert proved.returncode == 0, proved.stdout
    assert "Proved" in proved.stdout


def test_reset_asks_and_then_leaves_nothing(up: str, clone: Clone) -> None:
    unasked = clone.make("reset")
    assert unasked.returncode != 0
    assert clone.containers()
    removed = clone.make("reset", "YES=1")
    assert removed.returncode == 0, removed.stdout
    assert clone.containers() == []


def test_where_the_platform_is_down_sql_and_doctor_say_what_starts_it_and_leave_nothing(clone: Clone) -> None:
    before = docker_has()
    asked, report = clone.make("sql", "Q=select 1"), clone.make("doctor")
    assert asked.returncode != 0
    assert "Not running: worker. `make up PROFILE=local` starts the platform" in asked.stdout
    assert report.returncode != 0
    assert "FAIL  services               Not running: airbyte, localstack, prefect-server" in report.stdout
    assert [each for each in docker_has() - before if each.startswith((clone.name, "doctor-"))] == []


def docker_has() -> set[str]:
    """The names of the engine's volumes and networks."""
    volumes, networks = (["docker", kind, "ls", "--format={{.Name}}"] for kind in ("volume", "network"))
    return {name for command in (volumes, networks) for name in subprocess.check_output(command, text=True).split()}


@pytest.mark.exhaustive
def test_a_broken_init_script_fails_up_by_its_service_and_a_mended_one_runs(clone: Clone, project: Path) -> None:
    script = project / "localstack" / "init" / "ready.d" / "05-broken.sh"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    failed = clone.make("up")
    script.unlink()
    assert failed.returncode != 0
    assert "localstack" in failed.stdout
    assert "The platform is up" not in failed.stdout
    mended = clone.make("up")
    assert mended.returncode == 0, mended.stdout


def test_without_an_engine_up_says_so_and_names_what_needs_none(clone: Clone) -> None:
    failed = clone.make("up", DOCKER_HOST="tcp://127.0.0.1:1")
    assert failed.returncode != 0
    assert "No Docker engine answers" in failed.stdout
    assert "make demo" in failed.stdout

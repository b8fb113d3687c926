"""The platform is removed, and started again. These tests come last: they take it from the others."""

import subprocess

import pytest

from tests.e2e.clone import Clone


@pytest.mark.exhaustive
def test_the_platform_needs_no_network(up: str, clone: Clone) -> None:
    proved = clone.make("verify-offline")
    assert proved.returncode == 0, proved.stdout
    assert "Verified" in proved.stdout


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
    assert "Not running: worker. `make up` starts the platform" in asked.stdout
    assert report.returncode != 0
    assert "FAIL  services               Not running: airbyte, alerts, localstack, prefect-server" in report.stdout
    assert [each for each in docker_has() - before if each.startswith((clone.name, "doctor-"))] == []


def docker_has() -> set[str]:
    """The names of the engine's volumes and networks."""
    volumes, networks = (["docker", kind, "ls", "--format={{.Name}}"] for kind in ("volume", "network"))
    return {name for command in (volumes, networks) for name in subprocess.check_output(command, text=True).split()}


@pytest.mark.exhaustive
def test_a_broken_init_script_fails_up_by_its_service_and_a_mended_one_runs(clone: Clone) -> None:
    script = clone.folder / "localstack" / "init" / "ready.d" / "05-broken.sh"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    failed = clone.make("up")
    script.unlink()
    assert failed.returncode != 0
    assert "localstack" in failed.stdout
    assert "The platform is up" not in failed.stdout
    mended = clone.make("up")
    assert mended.returncode == 0, mended.stdout

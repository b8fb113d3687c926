"""A warehouse that is open elsewhere, full, busy or damaged is named, and free again after a failure."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from blocks.dbt.errors import DbtFailed, DbtTimedOut, WarehouseLocked
from blocks.dbt.project import Dbt
from blocks.turns import TurnMissed, turn
from tests.integration.blocks.dbt.project import ENDLESS, Project, each

Held = Callable[[Path], AbstractContextManager[int]]


@each
@pytest.mark.parametrize(
    "command",
    [lambda dbt: dbt.run("build"), pytest.param(lambda dbt: dbt.freshness(), marks=pytest.mark.exhaustive)],
    ids=["build", "freshness"],
)
def test_a_warehouse_that_another_process_has_open_is_named_with_its_pid(
    project: Project, held: Held, command: Callable[[Dbt], object]
) -> None:
    with held(project.warehouse) as pid, pytest.raises(WarehouseLocked) as caught:
        command(project.dbt)
    assert f"{project.warehouse} is open in process {pid} (" in str(caught.value)
    assert "Close it there" in str(caught.value)
    assert "open the published file instead" in str(caught.value)
    assert project.dbt.run("run").counts() == {"success": 2}


def test_a_full_disk_is_said_to_be_full(project: Project, small_disk: Path) -> None:
    project.write(
        "models/orders.sql", "{{ config(materialized='table') }} select hash(range) as id from range(1000000)"
    )
    full = Dbt(project.folder, "dev", {"WAREHOUSE_PATH": str(small_disk / "w.duckdb")}, project.lines.append)
    with pytest.raises(DbtFailed, match="`dbt run --select orders` ran out of disk space"):
        full.run("run", "--select", "orders")


@each
def test_a_query_that_hangs_is_stopped_and_named_and_the_next_command_works(project: Project) -> None:
    project.write("models/endless.sql", ENDLESS)
    project.dbt.run("parse")
    project.dbt.timeout_seconds = 15
    with pytest.raises(DbtTimedOut, match=r"longer than 15 s \(DBT_TIMEOUT_SECONDS\) and was stopped at endless"):
        project.dbt.run("run", "--select", "endless")
    project.dbt.timeout_seconds = 600
    assert project.dbt.run("run", "--select", "orders").counts() == {"success": 1}


def test_a_command_waits_for_its_turn_no_longer_than_the_setting_says(project: Project) -> None:
    waiting = Dbt(
        project.folder,
        "dev",
        {"WAREHOUSE_PATH": str(project.warehouse)},
        project.lines.append,
        warehouse=project.warehouse,
        wait_seconds=2,
    )
    with turn(project.warehouse, 1, print):
        assert waiting.run("parse").nodes == []
        with pytest.raises(TurnMissed, match=r"more than 2 s \(WAREHOUSE_WAIT_SECONDS\)"):
            waiting.run("build")
    assert any("Another command uses the warehouse" in line for line in project.lines)
    assert waiting.run("run").counts() == {"success": 2}


def test_a_write_ahead_log_of_another_file_is_reported_with_what_to_delete(project: Project) -> None:
    leave = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('create table t(i int)'); os._exit(1)"
    subprocess.run([sys.executable, "-c", leave, str(project.warehouse)], check=False, timeout=60)
    log = Path(f"{project.warehouse}.wal")
    old = log.read_bytes()
    project.dbt.run("run")
    log.write_bytes(old)
    with pytest.raises(DbtFailed, match=r"could not read the warehouse.*Delete both, then run full_pipeline"):
        project.dbt.run("run")


def test_a_truncated_warehouse_is_reported_with_what_to_delete(project: Project) -> None:
    project.dbt.run("run")
    with project.warehouse.open("r+b") as file:
        file.truncate(10_000)
    with pytest.raises(DbtFailed, match=r"Delete both, then run full_pipeline, which rebuilds the tables from raw"):
        project.dbt.run("run")

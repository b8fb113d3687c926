"""Row counts, and files that are taken out, where the warehouse is Snowflake and Airbyte is a real one."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.connections import Connections
from tests.integration.dbt.lake import Lake
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, running_emulator
from tests.integration.snowflake.project import variables
from tests.integration.snowflake.raw import load_raw

pytestmark = pytest.mark.filterwarnings("ignore:The 'insecure_mode' connection property is deprecated")
KEY = "inbound/planes/planes.csv.gz"


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """A platform's environment on it, with the register of planes in raw: one of its planes twice."""
    names = {"account": "org-account", "role": "R", "database": "FLIGHTS"}
    with running_emulator(tmp_path / "emulator", user=USER, password=PASSWORD, **names) as running:
        lake = Lake(tmp_path / "lake")
        lake.load_landing("planes", change="* replace (if(tailnum = 'N102UW', 'N10156', tailnum) as tailnum)")
        running.rows("create schema if not exists raw")
        load_raw(running, lake, set())
        paths = {"WAREHOUSE_PATH": tmp_path / "w", "DBT_TARGET_PATH": tmp_path / "target", "DBT_TARGET": "snowflake"}
        for name, value in {**variables(running), **paths}.items():
            monkeypatch.setenv(name, str(value))
        yield running


@pytest.mark.exhaustive
def test_a_files_rows_are_counted_and_leave_raw_and_the_snapshots(emulator: Emulator) -> None:
    dbt, warehouse = Connections(None).dbt(), Connections(None).warehouse()
    result = dbt.run("build", "--select", "+planes_snapshot")
    [counts] = result.rows
    assert (counts.stream, counts.in_raw, counts.in_staging) == ("planes", 3322, 3321)
    assert (counts.twice_in_a_file, counts.older, counts.filtered) == (1, 0, 0)
    assert warehouse.synced({1: datetime.now(UTC) - timedelta(hours=1)}) == {1: {"planes": 3322}}
    assert warehouse.remove(KEY) == {"planes": 3322}
    assert warehouse.rows_of(KEY) == {}
    dbt.run("run-operation", "forget_file", "--args", json.dumps({"key": KEY}))
    assert emulator.rows("select count(*) from analytics_snapshots.planes_snapshot") == [(0,)]

"""A warehouse goes on working after the dbt project was renamed, though what is noted in it has the former name."""

import re
import shutil
from pathlib import Path

import pytest

from tests.integration.dbt.project import PROJECT, Platform, broken

TABLES = (
    "select * exclude (_airbyte_raw_id) from fct_flights order by time_hour, carrier, flight_number",
    "from agg_daily_performance order by all",
    "from agg_route_delays order by all",
    "select * exclude (dbt_updated_at, dbt_valid_from, dbt_scd_id) from main_snapshots.planes_snapshot order by all",
)
LOOKED = "select reader from _dbt_reads where reader like '%.{}.%'"


@pytest.mark.exhaustive
def test_a_warehouse_outlives_the_name_of_its_project(thirty_days: Platform, january: Platform, tmp_path: Path) -> None:
    platform = thirty_days.copy(tmp_path / "platform")
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs", "dbt_packages"))
    settings = (project / "dbt_project.yml").read_text()
    renamed = re.sub(r"(?<!profile: )local_data_platform", "renamed", settings)
    assert renamed.count("renamed") == 3
    (project / "dbt_project.yml").write_text(renamed)
    platform.lake.load_landing("flights", "*-31.csv.gz", at="timestamptz '2013-02-01 00:00:00+00'")
    platform.project = project
    assert broken(platform.build()) == []
    assert [platform.rows(each) for each in TABLES] == [january.rows(each) for each in TABLES]
    assert platform.rows(LOOKED.format("renamed"))
    assert broken(platform.build()) == []

"""Folders as people name them: what SQL, globs, URLs, YAML, Jinja or a shell read in a name stands for itself."""

from pathlib import Path

import pytest

from blocks import lake
from blocks.dbt.project import Dbt
from blocks.settings import Settings
from blocks.systems import dbt_from
from tests.integration.dbt.lake import Lake
from tests.integration.dbt.project import PROJECT

NAMES = [
    "[v2]",
    "it's",
    'a"b',
    "c#",
    "{b}",
    "{{ x }}",
    "100%",
    "st*r",
    "-dash",
    "ünï 日本",
    "a;b,c",
    "$HOME",
    "a&b",
    "[!x]",
]


@pytest.mark.parametrize("name", [" ".join(NAMES), pytest.param("c#", marks=pytest.mark.exhaustive)])
def test_dbt_builds_from_a_lake_and_in_a_warehouse_below_any_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    raw = Lake(tmp_path / "lake")
    raw.load_landing("airlines")
    folder.mkdir()
    raw.folder.rename(folder / "lake")
    settings = Settings(DBT_PROJECT_DIR=PROJECT, LAKE_DIR=folder / "lake", WAREHOUSE_PATH=folder / "warehouse.duckdb")
    config = dbt_from(settings)
    variables = {**config.variables(), "DBT_TARGET_PATH": str(folder / "target")}
    built = Dbt(PROJECT, "dev", variables, log=lambda _: None).run("run", "--select", "+dim_airlines")
    assert {node.status for node in built.nodes} <= {"success", "pass"}
    assert lake.rows(folder / "lake")["airlines"] == 16

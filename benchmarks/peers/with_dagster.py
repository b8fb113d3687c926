"""Run `dbt build` with dagster-dbt, one asset for each node, in one process. The manifest exists already."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dagster import AssetExecutionContext, DagsterInstance, materialize
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

TARGET = Path(os.environ["DBT_TARGET_PATH"])
PROJECT = DbtProject(os.environ["DBT_PROJECT_DIR"], target_path=TARGET)


@dbt_assets(manifest=TARGET / "manifest.json", project=PROJECT)
def build(context: AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    yield from dbt.cli(["build"], context=context).stream()


done = materialize([build], resources={"dbt": DbtCliResource(PROJECT)}, instance=DagsterInstance.get())
raise SystemExit(not done.success)

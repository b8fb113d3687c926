"""The dbt project at work on a lake and a warehouse of its own, in a temporary folder."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.artifacts.schemas.freshness import FreshnessResult
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner, dbtRunnerResult

from tests.integration.dbt.lake import Lake

PROJECT = Path(__file__).parents[3] / "dbt_project"


@dataclass
class Platform:
    folder: Path
    lake: Lake
    project: Path = PROJECT
    warnings: list[str] = field(default_factory=list)
    """What dbt has warned of."""

    def dbt(self, *arguments: str, callback: Callable[[Any], None] | None = None) -> dbtRunnerResult:
        """Run dbt, which tells the callback of each event; the warehouse is free again afterwards."""
        with pytest.MonkeyPatch.context() as environment:
            # Relative, so that a copy of the folder is the same to dbt: no second parse, no view that looks back.
            environment.chdir(self.folder)
            environment.setenv("LAKE_DIR", "lake")
            environment.setenv("WAREHOUSE_PATH", self.warehouse.name)
            environment.setenv("FRESHNESS_THRESHOLD_HOURS", "24")
            environment.setenv("DBT_TARGET_PATH", str(self.folder / "target"))
            folders = ["--project-dir", str(self.project), "--profiles-dir", str(PROJECT)]
            return dbtRunner(callbacks=[self._hear, *([callback] if callback else [])]).invoke(
                ["--quiet", "--log-level-file", "none", *arguments, *folders]
            )

    def _hear(self, event: Any) -> None:
        if event.info.level == "warn":
            self.warnings.append(event.info.msg)

    def results(self, *arguments: str) -> dict[str, Any]:
        """Run dbt and return the result of each node by its name."""
        run = self.dbt(*arguments)
        assert isinstance(run.result, RunExecutionResult), run.exception
        return {result.node.name: result for result in run.result.results}

    def build(self, *select: str) -> dict[str, Any]:
        """Build all, or what is selected, with the tests of the data."""
        selection = ["--select", *select] if select else []
        return self.results("build", "--exclude-resource-type", "unit_test", *selection)

    def freshness(self) -> dict[str, str]:
        run = self.dbt("source", "freshness")
        assert isinstance(run.result, FreshnessResult), run.exception
        return {result.node.name: str(result.status) for result in run.result.results}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Change or ask the warehouse behind dbt's back."""
        with duckdb.connect(str(self.warehouse)) as connection:
            return connection.execute(statement).fetchall()

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def copy(self, folder: Path) -> "Platform":
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Platform(folder, Lake(folder / "lake"))


def broken(results: dict[str, Any]) -> list[str]:
    return sorted(name for name, node in results.items() if node.status in ("error", "fail", "warn", "skipped"))

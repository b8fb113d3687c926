"""A flow tries again where Snowflake was away for a while."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from blocks.dbt.errors import WarehouseAway
from blocks.dbt.results import DbtResult
from flows.dbt_transform import run_dbt
from flows.retry import if_temporary
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, running_emulator
from tests.integration.snowflake.project import variables

pytestmark = pytest.mark.filterwarnings("ignore:The 'insecure_mode' connection property is deprecated")
PROFILES = Path(__file__).parents[3] / "dbt_project" / "profiles.yml"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    names = {"account": "org-account", "role": "R", "database": "FLIGHTS"}
    with running_emulator(tmp_path_factory.mktemp("emulator"), user=USER, password=PASSWORD, **names) as running:
        yield running


@pytest.mark.usefixtures("prefect_server")
def test_dbt_runs_again_once_snowflake_is_back(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "one.sql").write_text("select 1 as one")
    (tmp_path / "dbt_project.yml").write_text("{name: outage, profile: local_data_platform}")
    shutil.copy(PROFILES, tmp_path)
    paths = {"DBT_PROJECT_DIR": tmp_path, "WAREHOUSE_PATH": tmp_path / "w", "DBT_TARGET_PATH": tmp_path / "target"}
    for name, value in {**variables(emulator), **paths, "DBT_TARGET": "snowflake"}.items():
        monkeypatch.setenv(name, str(value))
    failures: list[object] = []

    def come_back(task: Any, run: Any, state: Any) -> bool:
        failures.append(state.result(raise_on_failure=False))
        emulator.start()
        return if_temporary(task, run, state)

    @flow
    def build() -> DbtResult:
        return run_dbt.with_options(retry_delay_seconds=0.1, retry_condition_fn=come_back)("build")

    emulator.kill()
    assert build().counts() == {"success": 1}
    assert [type(failure) for failure in failures] == [WarehouseAway]

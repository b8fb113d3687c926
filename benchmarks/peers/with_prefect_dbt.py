"""Run `dbt build` with prefect-dbt, one task for each node, in a flow on a Prefect server that runs already."""

import os
from pathlib import Path

from prefect import flow
from prefect_dbt import PrefectDbtRunner, PrefectDbtSettings


@flow(name="peer-prefect-dbt")
def build() -> None:
    settings = PrefectDbtSettings(
        project_dir=Path(os.environ["DBT_PROJECT_DIR"]), target_path=Path(os.environ["DBT_TARGET_PATH"])
    )
    PrefectDbtRunner(settings=settings).invoke(["build"])


if __name__ == "__main__":
    build()

"""Run `dbt build` with Cosmos, as one task of a DAG that Airflow runs in this process. Its database exists already."""

import os
from pathlib import Path

from airflow.sdk import DAG
from cosmos import ProfileConfig
from cosmos.operators.local import DbtBuildLocalOperator

PROJECT = Path(os.environ["DBT_PROJECT_DIR"])

with DAG("peer") as dag:
    DbtBuildLocalOperator(
        task_id="build",
        project_dir=PROJECT,
        profile_config=ProfileConfig(
            profile_name="local_data_platform", target_name="dev", profiles_yml_filepath=PROJECT / "profiles.yml"
        ),
        install_deps=False,
        append_env=True,
    )

if __name__ == "__main__":
    raise SystemExit(dag.test().state != "success")

"""Run `dbt build` with this platform's flow `dbt_transform`, which also publishes. A Prefect server runs already."""

from flows.dbt_transform import dbt_transform

if __name__ == "__main__":
    dbt_transform()

"""`dbt build` by this platform: the flow `dbt_transform`, which also publishes; a Prefect server runs already."""

from flows.dbt_transform import dbt_transform

if __name__ == "__main__":
    dbt_transform()

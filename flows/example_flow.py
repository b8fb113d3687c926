"""The smallest useful flow: `dbt run`, then `dbt test`."""

from prefect import flow

from blocks.dbt import DbtResult
from flows.dbt_transform import dbt_deps, run_dbt, show, warehouse_slot


@flow(name="example_flow")
def example_flow(select: str | None = None, profile: str | None = None) -> list[DbtResult]:
    """Run the models, then their tests: a starting point for flows of your own.

    Args:
        select: dbt's node selection; without it, everything.
        profile: name of the saved blocks to connect with; without one, the environment decides.
    """
    dbt_deps(profile)
    with warehouse_slot():
        results = [run_dbt(command, select=select, profile=profile) for command in ("run", "test")]
    show(results[-1])
    return results


if __name__ == "__main__":
    example_flow()

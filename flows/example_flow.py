"""The smallest useful flow: `dbt run`, then `dbt test`."""

from prefect import flow

from blocks.connections import connected
from blocks.dbt.errors import NothingSelected
from blocks.dbt.results import DbtResult
from flows.assets import link_to_page
from flows.dbt_transform import dbt_deps, run_dbt, show, warehouse_slot
from flows.tags import tag_with_version


@flow(name="example_flow", on_running=[tag_with_version])
def example_flow(select: str | None = None, profile: str | None = None) -> list[DbtResult]:
    """Run the models, then their tests: a starting point for flows of your own.

    Args:
        select: dbt's node selection. The default is all nodes.
        profile: name of the saved blocks to connect with. By default, the environment variables are used.
    """
    link_to_page()
    with connected(profile):
        dbt_deps()
        with warehouse_slot():
            built = run_dbt("run", select=select)
            try:
                tested = run_dbt("test", select=select)
            except NothingSelected:  # the models have no tests
                tested = DbtResult(command="test")
    show(tested)
    return [built, tested]


if __name__ == "__main__":
    example_flow()

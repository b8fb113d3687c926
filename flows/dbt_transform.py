"""Transform: build and test the tables with dbt, and publish those that passed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any

from prefect import flow, get_client, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.runtime import flow_run
from prefect.tasks import exponential_backoff

from blocks import connections, dbt_packages, docs
from blocks.dbt.errors import DbtFailed
from blocks.dbt.results import DbtNode, DbtResult
from blocks.published import Contents, change, changed
from blocks.settings import code_version, docs_dir
from blocks.turns import TurnMissed
from flows.assets import link_to_page, report_built_models, report_published
from flows.heartbeats import heartbeats
from flows.retry import WAREHOUSE_RETRIES, if_temporary, unless_misconfigured
from flows.tags import tag_with_version, tagged

NO_MODEL = (
    "The dbt project has no model yet, so nothing is built or published. `make source FILE=orders.csv` turns a file "
    "into a table."
)
TEST_ALL = ("--vars", "{test_all: true}")
"""dbt's options that make the project's tests check every row."""
SCHEDULED = "auto-scheduled"
"""Prefect's tag for runs that a schedule started."""


def options_of(all_rows: bool) -> Sequence[str]:
    """Return dbt's options, without the selection."""
    return TEST_ALL if all_rows else ()


def every_row(test_all: bool | None) -> bool:
    """Return whether tests check every row. By default, they do in runs that a schedule started."""
    return SCHEDULED in flow_run.tags if test_all is None else test_all


@contextmanager
def warehouse_slot() -> Iterator[None]:
    """Hold the warehouse, so that only one of the platform's flow runs on a Prefect server runs dbt at a time.

    Raises:
        TurnMissed: other runs held it for longer than WAREHOUSE_WAIT_SECONDS.
    """
    limit = connections.names().slot
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(limit)
        except ObjectNotFound:
            with suppress(ObjectAlreadyExists):
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=limit, limit=1))
    seconds = connections.current().dbt_config.warehouse_wait_seconds
    with ExitStack() as held:
        # Prefect's shortest lease: a killed run holds the warehouse for at most this long.
        slot = concurrency(limit, strict=True, lease_duration=60, timeout_seconds=seconds)
        try:
            held.enter_context(slot)
        except TimeoutError as error:
            raise TurnMissed(
                f"Other runs held the limit {limit} for more than {seconds:g} s (WAREHOUSE_WAIT_SECONDS). "
                "Check which run holds it and why it takes so long, or raise WAREHOUSE_WAIT_SECONDS, then run again."
            ) from error
        yield


def package_files(_context: TaskRunContext, _parameters: dict[str, Any]) -> str | None:
    """Return the cache key of `dbt deps`: the project and a digest of its package files; None to install packages."""
    project = connections.current().dbt_config.project_dir
    return None if dbt_packages.are_missing(project) else f"dbt-deps-{dbt_packages.digest(project)}"


@task(
    name="dbt deps",
    tags=tagged("dbt"),
    cache_key_fn=package_files,
    cache_expiration=timedelta(days=30),
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=unless_misconfigured,
    persist_result=True,
)
def dbt_deps() -> str:
    """Install dbt's packages. This is skipped if they are installed and the package files have not changed."""
    log = get_run_logger().info
    dbt_packages.install(connections.current().dbt(log), log)
    return "installed"


@task(
    task_run_name="dbt {command}",
    tags=tagged("dbt"),
    retries=WAREHOUSE_RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=if_temporary,
)
def run_dbt(
    command: str,
    select: str | None = None,
    full_refresh: bool = False,
    arguments: Sequence[str] = (),
) -> DbtResult:
    """Run one dbt command on the selected nodes, and log dbt's output."""
    selection = [*(["--select", select] if select else []), *(["--full-refresh"] if full_refresh else [])]
    return connections.current().dbt(get_run_logger().info).run(command, *selection, options=arguments)


@task(
    tags=tagged("warehouse"),
    retries=WAREHOUSE_RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=if_temporary,
)
def publish(nodes: Sequence[DbtNode] = ()) -> str:
    """Publish each table that has passed its tests since it was built. Return where readers find the tables."""
    warehouse = connections.current().warehouse()
    before = warehouse.published_tables()
    where = warehouse.publish()
    version, commit = code_version()
    get_run_logger().info("published %s%s", where, f" by the image {version}" if version else "")
    create_table_artifact(
        [{"where": where, "version": version or "a clone's code", "commit": commit}],
        key=connections.names().artifact("published"),
        description="Where readers find the tables, and which version of the platform published them.",
    )
    now = warehouse.published_tables()
    tables = versions(before, now)
    for each in changed(tables):
        get_run_logger().info("%s: %s", each["table"], change(each))
    create_table_artifact(
        tables,
        key=connections.names().artifact("published-tables"),
        description="The published tables, compared with those published before.",
    )
    report_published(nodes, now)
    write_docs(now)
    return where


def write_docs(tables: Mapping[str, Contents]) -> None:
    """Start to write dbt's docs if DOCS_DIR is set and they are out of date. The run does not wait for this."""
    folder, systems = docs_dir(), connections.current()
    project = systems.dbt_config.project_dir
    try:
        if folder and docs.start(
            folder, systems.profile, docs.made_of(project, {name: each.columns for name, each in tables.items()})
        ):
            get_run_logger().info("dbt's docs and the column lineage are being written to %s", folder)
    except OSError as error:
        get_run_logger().warning("dbt's docs could not be written: %s", error)


def versions(before: Mapping[str, Contents], now: Mapping[str, Contents]) -> list[dict[str, Any]]:
    """Compare the published tables with those before, one row per table. A table that was dropped has 0 rows."""
    nothing = Contents(0, [])
    return [
        {
            "table": table,
            "rows": new.rows,
            "before": old.rows,
            "columns": len(new.columns),
            "added": ", ".join(name for name in new.columns if name not in old.columns) if table in before else "",
            "removed": ", ".join(name for name in old.columns if name not in new.columns),
        }
        for table in sorted({*before, *now})
        for old, new in [(before.get(table, nothing), now.get(table, nothing))]
    ]


@flow(name="dbt_transform", on_running=[tag_with_version])
def dbt_transform(
    select: str | None = None,
    full_refresh: bool = False,
    profile: str | None = None,
    test_all: bool | None = None,
) -> DbtResult:
    """Install dbt's packages, build and test the models, and publish the tables whose tests passed.

    A table that was not selected is published too if all its tests have passed since it was last built. The other
    tables stay as readers have them.

    Args:
        select: dbt's node selection, e.g. `stg_orders+`. The default is all nodes.
        full_refresh: rebuild incremental models from scratch.
        profile: name of the saved blocks to connect with. By default, the environment variables are used.
        test_all: true to test every row, false to test only rows that may have changed since the tests last passed. By
            default, scheduled runs test every row and other runs test the changes.

    Raises:
        blocks.dbt.errors.DbtFailed: a node failed, with its name and message, or the selection matches no node. Nothing
            is published.
        blocks.turns.TurnMissed: another run or command used the warehouse for too long.
        blocks.errors.ConfigurationError: there is no dbt project.
    """
    link_to_page()
    with connections.connected(profile), heartbeats():
        dbt_deps()
        with warehouse_slot():
            return _transformed(select, full_refresh, every_row(test_all))


def _transformed(select: str | None, full_refresh: bool, all_rows: bool) -> DbtResult:
    try:
        result = run_dbt("build", select, full_refresh, options_of(all_rows))
    except DbtFailed as failure:
        show(failure.result)
        raise
    show(result)
    if result.nodes:
        report_built_models(result.nodes)
        publish(result.nodes)
    else:
        get_run_logger().warning(NO_MODEL)
    return result


def show(result: DbtResult | None) -> None:
    """Create an artifact with dbt's results, one row per node: failures first, then the slowest."""
    if not result:
        return

    nodes = sorted(result.nodes, key=lambda node: (not node.failed, -node.seconds))
    rows = [
        {
            **node.model_dump(include={"name", "resource_type", "status", "seconds", "message"}),
            "looked at": _looked_at(node),
        }
        for node in nodes
    ]
    counts = ", ".join(f"{count} {status}" for status, count in result.counts().items())
    create_table_artifact(
        rows,
        key=connections.names().artifact("dbt-results"),
        description=f"`dbt {result.command}`: {counts}. {result.tested()}".strip(),
    )


def _looked_at(node: DbtNode) -> str:
    if node.resource_type != "test" or node.status == "skipped":
        return ""
    return "what may have changed" if node.changes_only else "every row"


if __name__ == "__main__":
    dbt_transform()

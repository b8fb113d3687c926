"""Remove a file: delete its rows from raw, and rebuild the tables that were built from them."""

import json

from prefect import flow, get_run_logger, task
from prefect.tasks import exponential_backoff
from pydantic import BaseModel

from blocks import connections
from blocks.dbt.errors import DbtFailed, NothingSelected
from blocks.dbt.results import DbtResult
from blocks.errors import PlatformError, shown
from blocks.landing import LandingReadOnly, set_aside
from blocks.warehouse import rows_in_words
from flows.assets import link_to_page, report_built_models
from flows.dbt_transform import dbt_deps, publish, run_dbt, show, warehouse_slot
from flows.retry import WAREHOUSE_RETRIES, if_temporary
from flows.tags import tag_with_version, tagged


class NothingToRemove(PlatformError):
    """The file is neither in raw nor in the landing bucket."""


class RemovalResult(BaseModel):
    """The number of rows deleted from raw, by table, and dbt's results."""

    key: str
    rows: dict[str, int]
    dbt: DbtResult


@task(
    tags=tagged("airbyte"),
    retries=WAREHOUSE_RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=if_temporary,
)
def remove_from_raw(key: str) -> tuple[dict[str, int], bool]:
    """Move the object to `_removed/`, then delete its rows from raw.

    The object is moved first, so that no sync reads it again while its rows are being deleted.

    Returns:
        The number of deleted rows by table, and whether these are all. If the object was moved before, an earlier
        removal may have been interrupted, and what it deleted is not known.
    """
    logger, systems = get_run_logger(), connections.current()
    landing, warehouse = systems.landing, systems.warehouse()
    before = warehouse.rows_of(key)
    try:
        place = set_aside(landing.get_client(), landing.bucket, key)
    except LandingReadOnly as error:
        place = "aside"
        logger.warning("%s The file stays in landing: delete it there, or upload the corrected one.", error)
    if place == "nowhere" and not before:
        raise NothingToRemove(
            f"Neither raw nor s3://{landing.bucket} has {key}. Give the object's whole key, such as "
            f"{landing.prefix}orders/orders-2024-01-31.csv.gz In raw, the column _ab_source_file_url has it."
        )
    with systems.airbyte.get_client() as client:
        removed = client.remove_file(landing.bucket, key)
    if removed is None:
        removed = warehouse.remove(key)
        logger.warning(
            "Airbyte still remembers that it read %s. It reads the file again if you upload it again.", shown(key)
        )
    logger.info("removed from raw: %s", rows_in_words(removed) or "nothing, since raw has no row of the file")
    return removed, place == "moved"


@flow(name="remove_file", on_running=[tag_with_version])
def remove_file(key: str, profile: str | None = None) -> RemovalResult:
    """Remove a file from landing, raw and every table that was built from it, and publish these tables.

    The object moves to `_removed/` in the landing bucket. The rows of all its versions are deleted from raw. If another
    file has rows with the same keys, these are the newest again. If the flow was interrupted, run it again.

    Args:
        key: the object's key in the landing bucket, e.g. inbound/orders/orders-2024-01-31.csv.gz.
        profile: name of the saved blocks to connect with. By default, the environment variables are used.

    Raises:
        NothingToRemove: there is no such file.
        blocks.dbt.errors.DbtFailed: the tables cannot be built without the file. Readers keep the tables they have.
        blocks.airbyte.errors.AirbyteError, blocks.warehouse.RawReadOnly, blocks.turns.TurnMissed
    """
    link_to_page()
    with connections.connected(profile) as systems:
        key = systems.landing.key_of(key)
        rows, are_all = remove_from_raw(key)
        dbt_deps()
        with warehouse_slot():
            result = rebuild(key, list(rows) if are_all else [])
            show(result)
            report_built_models(result.nodes)
            publish(result.nodes)
    return RemovalResult(key=key, rows=rows, dbt=result)


def rebuild(key: str, streams: list[str]) -> DbtResult:
    """Rebuild from scratch, and test, everything that depends on the streams.

    If `streams` is empty, everything is rebuilt, because an interrupted removal may have deleted rows of any stream.
    """
    run_dbt("run-operation", arguments=["forget_file", "--args", json.dumps({"key": key})])
    select = " ".join(f"source:*.{stream}+" for stream in streams) or "source:*+"
    try:
        return run_dbt("build", select, full_refresh=True)
    except NothingSelected:
        return DbtResult(command="build")
    except DbtFailed as failure:
        show(failure.result)
        get_run_logger().error(
            "The file's rows are no longer in raw, but the tables could not be built without them. Readers keep "
            "the tables that they have. Fix the errors that dbt reports, then remove the file again."
        )
        raise

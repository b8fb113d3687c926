"""Compaction: merge raw's small files into large ones."""

from prefect import flow, get_run_logger, task
from prefect.tasks import exponential_backoff

from blocks import connections
from flows.retry import WAREHOUSE_RETRIES, if_temporary
from flows.tags import tag_with_version, tagged


@task(
    tags=tagged("airbyte"),
    retries=WAREHOUSE_RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=if_temporary,
)
def compact_raw(stream: str = "") -> dict[str, tuple[int, int]]:
    """Merge raw's small files. Return each table's number of files before and after."""
    with connections.current().airbyte.get_client() as client:
        counts = client.compact(stream)
    if counts is None:
        counts = connections.current().warehouse().compact()
    logger = get_run_logger()
    for table, (before, after) in counts.items():
        logger.info(
            "%s: %s", table, f"{before} files became {after}" if before != after else "there is nothing to merge"
        )
    if not counts:
        logger.info("There is nothing to merge: Snowflake merges its micro-partitions itself.")
    return counts


@flow(name="compact", on_running=[tag_with_version])
def compact(stream: str = "", profile: str | None = None) -> dict[str, tuple[int, int]]:
    """Merge the small Parquet files of raw into large ones with the same rows.

    The flow waits for syncs and dbt commands that use the files, and syncs wait for it.

    Args:
        stream: the stream whose files are merged, e.g. orders. The default is all streams.
        profile: name of the saved blocks to connect with. By default, the environment variables are used.

    Returns:
        Each table's number of files before and after.

    Raises:
        blocks.airbyte.errors.CompactionFailed: there is no such stream, or its files could not be merged.
        blocks.airbyte.errors.AirbyteError, blocks.warehouse.RawReadOnly
    """
    with connections.connected(profile):
        return compact_raw(stream)


if __name__ == "__main__":
    compact()

"""The whole pipeline: sync, transform, check freshness."""

import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.tasks import exponential_backoff
from pydantic import BaseModel

from blocks import connections
from blocks.airbyte.api import SyncResult
from blocks.airbyte.errors import AirbyteError, AirbyteForbidden
from blocks.batches import FilesMissing, OthersFailed
from blocks.dbt.errors import DbtFailed, StaleSource
from blocks.dbt.results import DbtResult, SourceFreshness
from blocks.errors import PlatformError, shown
from blocks.lake import first_landed, missing
from blocks.landing import CURSORS, LandedFile, LandingUnavailable, look_up, objects, why_without_rows
from blocks.webhook import ping
from blocks.words import span
from flows.airbyte_sync import airbyte_sync
from flows.assets import link_to_page
from flows.dbt_transform import dbt_transform, every_row, options_of, warehouse_slot
from flows.drift import report_drift
from flows.heartbeats import left_to_subflows
from flows.retry import WAREHOUSE_RETRIES, if_temporary
from flows.row_counts import MARGIN, check_counts
from flows.tags import tag_with_version, tagged, tags_of_the_deployment

Result = TypeVar("Result")
NOTHING: Mapping[str, str] = {}


class PipelineResult(BaseModel):
    """A run's results: rows and bytes by connection, dbt's results, each source's freshness, and seconds by step."""

    syncs: list[SyncResult]
    dbt: DbtResult
    freshness: list[SourceFreshness]
    seconds: dict[str, float]


@task(tags=tagged("dbt"))
def warm_up_dbt(options: Sequence[str] = ()) -> None:
    """Import dbt and parse its project while Airbyte works. Errors are ignored here, since the build reports them."""
    with suppress(PlatformError):
        connections.current().dbt(get_run_logger().info).parse_ahead(*options)


@task(
    tags=tagged("warehouse"),
    retries=WAREHOUSE_RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=if_temporary,
)
def files_arrived(
    files: list[LandedFile], ignored: Mapping[str, str] = NOTHING
) -> tuple[dict[str, datetime], dict[str, str]]:
    """Find out which files have rows in raw, and why others need none.

    Returns:
        The keys of the files with rows in raw, each with the date of its newest loaded version. Then the keys of files
        that need no rows, each with the reason: those of `ignored`, and the files that were removed from the bucket.
    """
    first = first_landed(files)
    loaded = connections.current().warehouse().arrived((file.key for file in files), first and first - MARGIN)
    unexplained = [file.key for file in files if file.key not in loaded and file.key not in ignored]
    removed = dict.fromkeys(find_removed(unexplained), "it was removed from the bucket before it was loaded")
    why = {**ignored, **removed}
    rows = [
        {"key": shown(file.key), "etag": file.etag, "bytes": file.size, "loaded": str(loaded.get(file.key))}
        for file in files
    ]
    create_table_artifact(
        rows,
        key=connections.names().artifact("landed-files"),
        description="The files of this run. In raw, the column _ab_source_file_url has the key.",
    )
    without = [{"key": shown(each.key), "why": why[each.key]} for each in files if each.key in why.keys() - loaded]
    if without:
        create_table_artifact(
            without,
            key=connections.names().artifact("files-without-rows"),
            description="Files of this run that brought no rows, and why. They do not fail the run.",
        )
    return loaded, why


@task(
    name="choose connections",
    tags=tagged("airbyte"),
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=if_temporary,
)
def connections_of(files: list[LandedFile]) -> list[str]:
    """Return the profile's connections that read at least one of the files, or all of them if this is not known."""
    airbyte, bucket = connections.current().airbyte, connections.current().landing.bucket
    try:
        with airbyte.get_client() as client:
            found = client.connections_of(airbyte.connections, bucket, [file.key for file in files])
    except AirbyteForbidden as error:
        get_run_logger().warning("All connections are synced, because Airbyte does not show what they read. %s", error)
        return airbyte.connections
    return found or airbyte.connections


@task(
    name="source freshness",
    tags=tagged("dbt"),
    retries=WAREHOUSE_RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=if_temporary,
)
def source_freshness() -> list[SourceFreshness]:
    """Measure the age of each source, and fail if one is older than FRESHNESS_THRESHOLD_HOURS."""
    sources = connections.current().dbt(get_run_logger().info).freshness()
    rows = [source.model_dump(mode="json") for source in sources]
    create_table_artifact(
        rows, key=connections.names().artifact("freshness"), description="Age of each source's newest row, in hours."
    )
    if stale := [source for source in sources if source.status not in ("pass", "warn")]:
        threshold = connections.current().dbt_config.freshness_threshold_hours
        raise StaleSource(
            f"{'; '.join(_age(each, each.limit_hours or threshold) for each in stale)}. The tables are built and "
            "published, from old data. Find out why no new files arrive, or raise the threshold "
            "(FRESHNESS_THRESHOLD_HOURS, or error_after of the source)."
        )
    return sources


@flow(name="full_pipeline", on_running=[tag_with_version])
def full_pipeline(
    connection_ids: list[str] | None = None,
    files: list[LandedFile] | None = None,
    select: str | None = None,
    full_refresh: bool = False,
    profile: str | None = None,
    test_all: bool | None = None,
) -> PipelineResult:
    """Sync the connections, build and test the tables, publish them, and check that the data are fresh.

    If a sync fails, the rows that it and the other syncs loaded still reach the tables. Then the run fails with the
    reasons of all failed syncs.

    Args:
        connection_ids: UUIDs of Airbyte connections, which are synced side by side. The default is those of the
            profile, or of AIRBYTE_CONNECTION_ID and AIRBYTE_CONNECTION_IDS. Of these, a run with `files` syncs only
            those that read one of the files.
        files: the landed files that this run is for. The run checks that each has reached raw.
        select: dbt's node selection, e.g. `stg_orders+`. The default is all nodes.
        full_refresh: rebuild incremental models from scratch.
        profile: name of the saved blocks to connect with. By default, the environment variables are used.
        test_all: true to test every row, false to test only rows that may have changed since the tests last passed. By
            default, scheduled runs test every row and other runs test the changes.

    Raises:
        blocks.airbyte.errors.AirbyteError, blocks.dbt.errors.DbtFailed, blocks.dbt.errors.StaleSource,
        blocks.batches.FilesMissing, blocks.batches.OthersFailed, flows.row_counts.CountsDiffer,
        blocks.errors.ConfigurationError
    """
    link_to_page()
    all_rows = every_row(test_all)  # called here because the schedule's tag is on this run, not on its subflows
    with connections.connected(profile):
        return _pipeline(connection_ids, files or [], select, full_refresh, all_rows)


def _pipeline(
    connection_ids: list[str] | None, batch: list[LandedFile], select: str | None, full_refresh: bool, all_rows: bool
) -> PipelineResult:
    seconds: dict[str, float] = {}
    warm = warm_up_dbt.submit(options_of(all_rows))
    if batch and not connection_ids and len(connections.current().airbyte.connections) > 1:
        connection_ids = connections_of(batch)
    syncs, failed = _timed(seconds, "sync", lambda: sync(connection_ids))
    ignored, loaded, absent = check_arrival(batch, syncs)
    if absent and any(sync.adopted for sync in syncs):
        # A sync that was already running may have listed the bucket before these files were in it.
        more, failed = _timed(seconds, "second sync", lambda: sync(connection_ids))
        syncs += more
        ignored, loaded, absent = check_arrival(batch, syncs)
    for key in ignored.keys() - loaded.keys():
        get_run_logger().warning("%s brought no row: %s.", shown(key), ignored[key])
    arrived = bool(batch) and not absent
    if failed and not (syncs or failed.rows or arrived):
        raise failed
    warm.wait()
    try:
        dbt = _timed(seconds, "transform", lambda: transform(select, full_refresh, all_rows))
    except DbtFailed as error:
        report_drift(syncs, error.result)
        if error.result and error.result.nodes:
            measure(syncs, failed, error.result)
        if failed and not arrived:
            raise failed from error
        raise  # the sync failed on files of other runs, which report that themselves
    report_drift(syncs, dbt)
    if failure := failed_sync(failed, arrived) or missing_rows(absent, loaded, batch):
        measure(syncs, failed, dbt)
        raise failure
    if absent:
        names = ", ".join(shown(file.key) for file in absent[:5])
        get_run_logger().warning("raw has an older version of %s: its content is unchanged, or has no rows", names)
    check_counts(syncs, dbt.rows)
    freshness = _timed(seconds, "freshness", check_freshness)
    ping_watcher()
    return PipelineResult(syncs=syncs, dbt=dbt, freshness=freshness, seconds=seconds)


def failed_sync(failed: AirbyteError | None, arrived: bool) -> PlatformError | None:
    """Return the error of a run whose sync failed. It is OthersFailed if all files of the run `arrived` in raw."""
    if not (failed and arrived):
        return failed
    others = OthersFailed(str(failed))
    others.__cause__ = failed
    return others


def missing_rows(
    absent: Iterable[LandedFile], loaded: Container[str], batch: Sequence[LandedFile]
) -> FilesMissing | None:
    """Return an error if a file brought no row.

    Only keys are compared: if the content has not changed, no sync loads it again, so raw keeps an older version.
    """
    keys = [file.key for file in absent if file.key not in loaded]
    if not keys:
        return None
    return FilesMissing(
        f"{len(keys)} of {len(batch)} files brought no row to raw: {', '.join(keys[:5])}. Such a file is empty, was "
        "replaced during the run, or is in a folder that is not a stream of the connection. Everything else was loaded "
        "and published."
    )


def measure(syncs: list[SyncResult], failed: AirbyteError | None, dbt: DbtResult) -> None:
    """Create the artifacts with row counts and ages for a run that fails for another reason."""
    loads = [*syncs, *(failed.partial if failed else ())]
    try:
        check_counts(loads, dbt.rows, compare=False)
        check_freshness()
    except PlatformError as error:
        get_run_logger().warning("%s", error)


def find_removed(keys: list[str]) -> list[str]:
    """Return the keys that somebody removed from the landing bucket.

    Return none if S3 does not answer, or if the bucket has no sensor's cursor, since the files may have been found in
    another bucket.
    """
    landing = connections.current().landing
    try:
        s3, bucket = landing.get_client(), landing.bucket
        if not keys or not next(objects(s3, bucket, CURSORS), None):
            return []
        return [key for key, found in look_up(s3, bucket, keys) if found is None]
    except LandingUnavailable as error:
        get_run_logger().warning("Files that brought no row may have been removed. %s", error)
        return []


def check_arrival(
    files: list[LandedFile], syncs: Sequence[SyncResult]
) -> tuple[dict[str, str], dict[str, datetime], list[LandedFile]]:
    """Return why some files need not be in raw, which files are there, and which are missing."""
    ignored = explain_absence(files, syncs)
    loaded, ignored = files_arrived(files, ignored) if files else ({}, ignored)
    absent = [file for file in missing(files, loaded) if file.key in loaded or file.key not in ignored]
    return ignored, loaded, absent


def explain_absence(files: Iterable[LandedFile], syncs: Sequence[SyncResult]) -> dict[str, str]:
    """Return, by key, why some files need not be in raw, according to the syncs or to the file itself."""
    reported = {key: reason for sync in syncs for key, reason in sync.ignored.items()}
    reasons = {file.key: reported.get(file.key) or why_without_rows(file) or _superseded(file, syncs) for file in files}
    return {key: reason for key, reason in reasons.items() if reason}


def _superseded(file: LandedFile, syncs: Iterable[SyncResult]) -> str:
    """Return why raw need not have a file of a deduplicated stream, or "" if the stream keeps every row."""
    for name in (name for sync in syncs for name in sync.deduplicated):
        if name in file.key.split("/"):
            return (
                f"Airbyte deduplicates the stream {shown(name)}, and newer rows or deletions may have replaced its rows"
            )
    return ""


def sync(connection_ids: list[str] | None) -> tuple[list[SyncResult], AirbyteError | None]:
    """Run `airbyte_sync`. Return an error instead of raising it, since the syncs may have loaded this run's files."""
    try:
        with tags_of_the_deployment(), left_to_subflows():
            return airbyte_sync(connection_ids, connections.current().profile), None
    except AirbyteError as failure:
        return list(failure.results), failure


def transform(select: str | None, full_refresh: bool, all_rows: bool) -> DbtResult:
    """Run `dbt_transform` on this run's connections."""
    with tags_of_the_deployment(), left_to_subflows():
        return dbt_transform(select, full_refresh, connections.current().profile, all_rows)


def check_freshness() -> list[SourceFreshness]:
    """Run `source_freshness` while no other run writes to the warehouse."""
    with warehouse_slot():
        return source_freshness()


def ping_watcher() -> None:
    """Ping HEARTBEAT_URL, if it is set, to report that this run succeeded. If the ping fails, it is only logged."""
    url = connections.current().heartbeat_url
    if url.get_secret_value() and (why := ping(url)):
        get_run_logger().warning("%s The service behind it may report a missing run, although this run succeeded.", why)


def _age(source: SourceFreshness, limit_hours: float) -> str:
    if source.age_hours is None and source.status == "error":
        return f"source {source.source} has no row: check that Airbyte's connection reads files for this stream"
    if source.age_hours is None:
        return f"the age of source {source.source} cannot be read ({source.status})"
    loaded = f"source {source.source} is stale: its newest row was loaded {source.age_hours:.1f} h ago"
    return f"{loaded}, and the threshold is {span(3600 * limit_hours)}"


def _timed(seconds: dict[str, float], step: str, work: Callable[[], Result]) -> Result:
    start = time.monotonic()
    result = work()
    seconds[step] = round(time.monotonic() - start, 2)
    return result


if __name__ == "__main__":
    full_pipeline()

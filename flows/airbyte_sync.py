"""Load: start Airbyte's syncs and wait for them to end."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture, PrefectFutureList, wait
from prefect.runtime import flow_run
from prefect.tasks import exponential_backoff
from pydantic import BaseModel, Field

from blocks import connections
from blocks.airbyte.api import Job, JobReport, SyncResult
from blocks.airbyte.client import check_connection_id
from blocks.airbyte.errors import AirbyteError, SyncFailed, SyncsFailed
from blocks.errors import PlatformError, shown
from blocks.systems import AirbyteConnection
from flows.assets import link_to_page, report_loaded_streams
from flows.heartbeats import heartbeats
from flows.retry import if_temporary
from flows.tags import tag_with_version, tagged

START_SECONDS = 10.0
"""How long a cancelled run waits for syncs that are still starting, so that it can cancel them too."""
_cancelled: set[str] = set()
"""Ids of the cancelled flow runs. The threads of their tasks cannot be interrupted, so they check this set."""


class SyncLeft(AirbyteError):
    """The run was cancelled while it waited for a sync."""


class StartedSync(BaseModel):
    """A sync that this run watches from `at` on. `adopted` is true if it was running before."""

    connection_id: str
    connection_name: str
    job: Job
    adopted: bool
    prefix: str = ""
    deduplicated: list[str] = []
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


@task(
    task_run_name="start {connection_id}",
    tags=tagged("airbyte"),
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=if_temporary,
)
def start_sync(connection_id: str) -> StartedSync:
    """Start the sync of a connection, or adopt the one that is running."""
    connection_id = check_connection_id(connection_id)
    with connections.current().airbyte.get_client() as client:
        connection = client.connection(connection_id)
        job, adopted = client.start_sync(connection_id)
    name = shown(connection.name)
    get_run_logger().info("%s job %d of %s", "adopted running" if adopted else "started", job.job_id, name)
    return StartedSync(
        connection_id=connection_id,
        connection_name=name,
        job=job,
        adopted=adopted,
        prefix=connection.prefix or "",
        deduplicated=connection.deduplicated,
    )


@task(
    task_run_name="wait for {started.connection_name}",
    tags=tagged("airbyte"),
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=if_temporary,
)
def wait_for_sync(started: StartedSync) -> SyncResult:
    """Wait for a sync to end, and log its progress. A retry keeps the deadline of the first attempt."""
    logger, airbyte = get_run_logger(), connections.current().airbyte

    def on_poll(job: Job) -> None:
        logger.info("%s: %s, %s rows", started.connection_name, shown(job.status), f"{job.rows_synced:,}")
        if flow_run.id in _cancelled:
            raise SyncLeft(f"This run was cancelled; it no longer waits for Airbyte job {job.job_id}.")

    with airbyte.get_client() as client:
        waited = (datetime.now(UTC) - started.at).total_seconds()
        try:
            job = client.wait(started.job, airbyte.sync_timeout_seconds, on_poll, waited)
        except SyncFailed as failure:
            if failure.job:
                failure.partial = [_result(started, failure.job, client.report(failure.job.job_id))]
            raise
        report = client.report(job.job_id)
    for warning in report.warnings:
        logger.warning("%s: %s", started.connection_name, shown(warning))
    return _result(started, job, report)


def _result(started: StartedSync, job: Job, report: JobReport) -> SyncResult:
    """Combine an ended job and Airbyte's report on it into one result."""
    return SyncResult(
        connection_id=started.connection_id,
        connection_name=started.connection_name,
        job_id=job.job_id,
        adopted=started.adopted,
        rows=job.rows_synced,
        bytes=job.bytes_synced,
        duration=job.duration,
        streams=report.streams,
        ignored=report.ignored,
        prefix=started.prefix,
        attempts=report.attempts,
        deduplicated=started.deduplicated,
        started=job.started,
    )


@flow(name="airbyte_sync", on_running=[tag_with_version])
def airbyte_sync(connection_ids: list[str] | None = None, profile: str | None = None) -> list[SyncResult]:
    """Sync Airbyte connections side by side, and wait for all of them.

    Args:
        connection_ids: UUIDs of the connections. The default is those of the profile, or of AIRBYTE_CONNECTION_ID and
            AIRBYTE_CONNECTION_IDS.
        profile: name of the saved blocks to connect with. By default, the environment variables are used.

    Raises:
        blocks.airbyte.errors.AirbyteError: a sync failed. It is raised after all syncs have ended, and has the results
            of those that succeeded. If there are several reasons, it is a SyncsFailed.
        blocks.errors.ConfigurationError: the connection cannot be used.
    """
    link_to_page()
    with connections.connected(profile), heartbeats():
        return _synced(connection_ids)


def _synced(connection_ids: list[str] | None) -> list[SyncResult]:
    chosen = list(dict.fromkeys(connection_ids or connections.current().airbyte.connections))
    started = start_sync.map(chosen)
    try:
        ended = wait_for_sync.map(started)
        wait(ended)
        outcomes = [_outcome(*futures) for futures in zip(started, ended, strict=True)]
    except (TerminationSignal, KeyboardInterrupt) as interruption:
        for problem in cancel(started):
            interruption.add_note(problem)
            get_run_logger().error(problem)
        raise
    results = [each for each in outcomes if isinstance(each, SyncResult)]
    _show(results)
    report_loaded_streams(results)
    if failures := [each for each in outcomes if isinstance(each, BaseException)]:
        raise _failure(failures, results)
    return results


def _outcome(started: PrefectFuture[StartedSync], ended: PrefectFuture[SyncResult]) -> SyncResult | BaseException:
    """Return a sync's result, or the error that kept it from starting or made it fail."""
    if isinstance(start := started.result(raise_on_failure=False), BaseException):
        return start
    return ended.result(raise_on_failure=False)


def _failure(failures: list[BaseException], results: list[SyncResult]) -> BaseException:
    """Combine the failures into one error, with the rows of all syncs and the results of those that succeeded."""
    reasons = list({str(each): each for each in failures}.values())
    first = reasons[0]
    if len(reasons) == 1 and (isinstance(first, AirbyteError) or not results):
        failure = first
    else:
        failure = SyncsFailed(
            f"{len(failures)} of {len(failures) + len(results)} syncs failed. " + " ".join(map(_describe, reasons))
        )
        failure.__cause__ = first
    if isinstance(failure, AirbyteError):
        failure.rows = sum(each.rows for each in [*results, *failures] if isinstance(each, SyncResult | AirbyteError))
        failure.results = results
        failure.partial = [one for each in failures if isinstance(each, AirbyteError) for one in each.partial]
    return failure


def _describe(reason: BaseException) -> str:
    return str(reason) if isinstance(reason, PlatformError) else f"{type(reason).__name__}: {reason}."


def cancel(started: PrefectFutureList[StartedSync]) -> list[str]:
    """Cancel the syncs that this run started, and return a message for each that could not be cancelled.

    Adopted syncs go on, because another run or a person started them. If one sync cannot be cancelled, the others
    still are.
    """
    _cancelled.add(str(flow_run.id))
    syncs = [future.result(raise_on_failure=False) for future in wait(list(started), timeout=START_SECONDS).done]
    own = [sync for sync in syncs if isinstance(sync, StartedSync) and not sync.adopted]
    airbyte = connections.current().airbyte
    with ThreadPoolExecutor(max(len(own), 1)) as pool:
        return list(filter(None, pool.map(lambda sync: _cancel(sync, airbyte), own)))


def _cancel(sync: StartedSync, airbyte: AirbyteConnection) -> str:
    """Cancel one sync. Return why it may still be running, or "" if it is cancelled."""
    try:
        with airbyte.get_client() as client:
            client.cancel(sync.job.job_id)
    except Exception as error:  # noqa: BLE001 - after any error, the others are cancelled and the run ends
        return (
            f"Airbyte job {sync.job.job_id} of {sync.connection_name} could not be cancelled and may still run: "
            f"{error} Cancel it in Airbyte."
        )
    return ""


def _show(results: list[SyncResult]) -> None:
    """Create an artifact with the rows and bytes of each stream, and the total of each connection."""
    rows = [
        {"connection": each.connection_name, "job": each.job_id, "stream": shown(name), "rows": rows, "bytes": size}
        for each in results
        for name, rows, size in [*((s.name, s.rows, s.bytes) for s in each.streams), ("(all)", each.rows, each.bytes)]
    ]
    create_table_artifact(
        rows,
        key=connections.names().artifact("airbyte-sync"),
        description="Rows and bytes that Airbyte moved, by stream.",
    )


if __name__ == "__main__":
    airbyte_sync()

"""Row counts: check that each row of the files that a run loaded is in staging, or explain why it is not."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.tasks import exponential_backoff

from blocks import connections
from blocks.airbyte.api import StreamStats, SyncResult
from blocks.dbt.results import RowCounts
from blocks.errors import PlatformError, shown
from flows.retry import WAREHOUSE_RETRIES, if_temporary
from flows.tags import tagged

MARGIN = timedelta(hours=1)
"""How far the clocks of Airbyte's server and its connectors may differ."""


class CountsDiffer(PlatformError):
    """There are too few or too many rows, and nothing explains why. The message has the figures."""


@task(
    tags=tagged("warehouse"),
    retries=WAREHOUSE_RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=if_temporary,
)
def check_counts(syncs: list[SyncResult], staging: list[RowCounts], compare: bool = True) -> None:
    """Create an artifact with the run's row counts, one row per stream, and compare them.

    If `compare` is false, they are not compared: after a failed sync or build they need not add up.

    Raises:
        CountsDiffer: some counts do not add up.
    """
    moved = [each for each in syncs if each.rows or any(stream.rejected for stream in each.streams)]
    began = {each.job_id: (each.started or datetime.now(UTC)) - MARGIN for each in moved}
    raw = connections.current().warehouse().synced(began) if began else {}
    by_stream = {each.stream.lower(): each for each in staging}
    rows: list[dict[str, Any]] = []
    wrong: list[str] = []
    for each in moved:
        for stream in each.streams:
            table = f"{each.prefix}{stream.name}".lower()
            found, counts = _in_raw(raw, each.job_id, table), by_stream.get(table)
            rows.append(_row(each, stream, found, counts))
            wrong += differences(each, stream, found, counts)
    if rows:
        create_table_artifact(
            rows,
            key=connections.names().artifact("row-counts"),
            description="Rows in the files that this run synced, and where the rows of each stream are now.",
        )
    if wrong and compare:
        raise CountsDiffer(
            f"The row counts of this run do not add up. {' '.join(wrong)} The tables are built and published. See the "
            "artifact row-counts. If a file was removed or replaced during the run, sync again. Otherwise, clear the "
            "stream and sync."
        )


def differences(sync: SyncResult, stream: StreamStats, raw: int | None, counts: RowCounts | None) -> Iterable[str]:
    """Yield a sentence for each count of a stream that does not add up.

    Args:
        sync: the sync.
        stream: the sync's own figures for the stream.
        raw: number of rows in raw that the sync wrote, or None if it is not known.
        counts: where the stream's rows are, or None if they were not counted.
    """
    name, again, known = shown(stream.name), sync.attempts > 1, stream.rows + stream.rejected
    if stream.read != known and not again:
        yield (
            f"{name}: the files have {stream.read:,} rows; the sync wrote {stream.rows:,} and rejected "
            f"{stream.rejected:,}."
        )
    lost = raw is not None and raw < stream.rows and stream.name not in sync.deduplicated
    if raw is not None and (lost or (raw > stream.rows and not again)):
        yield f"{name}: the sync says that it wrote {stream.rows:,} rows, and raw has {raw:,} of them."
    if counts and (counts.filtered < 0 or counts.older < 0):
        yield (
            f"{name}: raw has {counts.in_raw:,} rows with {counts.different_keys:,} keys, and {counts.staging} has "
            f"{counts.in_staging:,} rows."
        )


def _in_raw(raw: Mapping[int, Mapping[str, int]], job: int, table: str) -> int | None:
    of_job = raw.get(job)
    return None if of_job is None else {name.lower(): count for name, count in of_job.items()}.get(table, 0)


def _row(sync: SyncResult, stream: StreamStats, raw: int | None, counts: RowCounts | None) -> dict[str, Any]:
    return {
        "connection": sync.connection_name,
        "job": sync.job_id,
        "stream": shown(stream.name),
        "in the files": stream.read,
        "rejected": stream.rejected,
        "written": stream.rows,
        "found in raw": "not known" if raw is None else raw,
        "all of raw": counts.in_raw if counts else "not counted",
        "same key in a file": counts.twice_in_a_file if counts else "",
        "older version": counts.older if counts else "",
        "left out by the model": counts.filtered if counts else "",
        "in staging": counts.in_staging if counts else "",
    }

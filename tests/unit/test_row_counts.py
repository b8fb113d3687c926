"""The rows that a run has loaded are compared at each step, and what does not add up is reported with its figures."""

import pytest

from blocks.airbyte.api import StreamStats, SyncResult
from blocks.dbt.results import RowCounts
from flows.row_counts import differences

APPEND = SyncResult(connection_id="c", connection_name="c", job_id=1, adopted=False, rows=9, bytes=1, duration="PT1S")
DEDUPLICATED = APPEND.model_copy(update={"deduplicated": ["orders"]})
RETRIED = APPEND.model_copy(update={"attempts": 2})
CLOSED = RowCounts(stream="orders", staging="stg_orders", in_raw=12, twice_in_a_file=2, different_keys=7, in_staging=6)
MORE = CLOSED.model_copy(update={"in_staging": 8})


def stats(rows: int = 9, read: int = 10, rejected: int = 1) -> StreamStats:
    return StreamStats(name="orders", rows=rows, bytes=1, read=read, rejected=rejected)


def test_the_rows_of_raw_that_staging_lacks_have_reasons() -> None:
    assert (CLOSED.older, CLOSED.filtered) == (3, 1)


@pytest.mark.parametrize(
    ("sync", "stream", "raw", "counts"),
    [
        (APPEND, stats(), 9, CLOSED),
        (APPEND, stats(), None, None),
        (DEDUPLICATED, stats(), 5, CLOSED),
        (RETRIED, stats(read=15), 14, CLOSED),
    ],
    ids=["closed", "not known", "deduplicated", "retried"],
)
def test_counts_that_add_up_are_not_told(
    sync: SyncResult, stream: StreamStats, raw: int | None, counts: RowCounts | None
) -> None:
    assert list(differences(sync, stream, raw, counts)) == []


@pytest.mark.parametrize(
    ("sync", "stream", "raw", "counts", "said"),
    [
        (APPEND, stats(read=12), 9, CLOSED, "the files have 12 rows; the sync wrote 9 and rejected 1"),
        (APPEND, stats(), 8, CLOSED, "the sync says that it wrote 9 rows, and raw has 8 of them"),
        (APPEND, stats(), 18, CLOSED, "and raw has 18 of them"),
        (DEDUPLICATED, stats(), 18, CLOSED, "and raw has 18 of them"),
        (RETRIED, stats(), 8, CLOSED, "and raw has 8 of them"),
        (APPEND, stats(), 9, MORE, "raw has 12 rows with 7 keys, and stg_orders has 8 rows"),
    ],
)
def test_counts_that_do_not_add_up_are_told_with_their_figures(
    sync: SyncResult, stream: StreamStats, raw: int, counts: RowCounts, said: str
) -> None:
    [told] = differences(sync, stream, raw, counts)
    assert said in told

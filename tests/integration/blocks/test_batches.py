"""A batch fits into a run's parameters; one that fails is tried again, later each time, and then waits for a person."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from blocks.batches import MOST_BYTES, MOST_FILES, MOST_WAITING, Accepted, Batch, Batches, Failed, Outcome, own_first
from blocks.landing import LandedFile

NOW = datetime(2013, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FAILED = Outcome(well=False, again=True, reason="the disk is full")


def file(key: str) -> LandedFile:
    return LandedFile(key=key, etag="v1", size=1, last_modified=NOW)


def running(attempt: int) -> Batches:
    batch = Batch(files=[file("a")], attempt=attempt)
    return Batches(accepted=[Accepted(batch=batch, run_id="run")])


@pytest.mark.parametrize("letter", ["a", "é", "🛩"])
def test_a_batch_of_files_with_the_longest_names_fits_into_the_parameters_of_a_run(letter: str) -> None:
    longest = letter * (1024 // len(letter.encode()))
    files = [file(longest) for _ in range(1000)]
    batch = Batch.of(files)
    assert batch
    assert 0 < len(batch.files) < len(files)
    assert len(json.dumps([each.model_dump(mode="json") for each in batch.files])) < MOST_BYTES + 5000


def test_of_no_files_there_is_no_batch() -> None:
    assert Batch.of([]) is None


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 1), (2, 2), (3, 4)])
def test_each_attempt_comes_twice_as_late_as_the_one_before(attempt: int, minutes: int) -> None:
    (failed,) = running(attempt).settled({"run": FAILED}, NOW, 4, MINUTE).failed
    assert failed.retry_at == NOW + minutes * MINUTE
    assert failed.batch.attempt == attempt + 1


def test_the_last_attempt_parks_the_batch_with_its_reason() -> None:
    settled = running(4).settled({"run": FAILED}, NOW, 4, MINUTE)
    assert [each.reason for each in settled.parked] == ["the disk is full"]
    assert settled.due(NOW + timedelta(days=1000)) is None


def test_of_a_reason_with_several_files_a_batch_has_what_is_said_of_its_own_first() -> None:
    other, own = "s3://bucket/inbound/b.csv, line 7: it is short", "s3://bucket/a, line 5: a quote is not closed"
    told = Outcome(well=False, again=True, reason=f"SyncFailed: job 2 failed: {other}; {own}. Fix the cause.")
    [failed] = running(1).settled({"run": told}, NOW, 4, MINUTE).failed
    assert failed.reason == f"SyncFailed: job 2 failed: {own}. Fix the cause.; {other}"
    for reason in (f"job 2 failed: {other}", "of s3://bucket/c and s3://bucket/a it knows nothing"):
        assert own_first(reason, ["a"]) == reason


def test_a_run_that_ended_well_is_forgotten_and_one_that_goes_on_is_not() -> None:
    assert running(1).settled({"run": Outcome(well=True)}, NOW, 4, MINUTE) == Batches()
    assert running(1).settled({}, NOW, 4, MINUTE) == running(1)


def failed(names: Iterable[object], retry_at: datetime | None = None, files: int = 1) -> Batches:
    batches = [Batch(files=[file(f"{name}-{number}") for number in range(files)]) for name in names]
    return Batches(failed=[Failed(batch=batch, reason="", retry_at=retry_at) for batch in batches])


def test_so_many_batches_that_wait_for_their_next_attempt_stop_the_taking_of_new_ones() -> None:
    assert failed(range(MOST_WAITING), NOW).full
    assert not failed(range(MOST_WAITING - 1), NOW).full


def test_parked_batches_stop_nothing_and_waiting_ones_do_once_their_names_would_fill_the_cursor() -> None:
    assert not failed(range(5 * MOST_WAITING)).full
    assert not failed(range(MOST_FILES // 1000), files=1000).full
    assert failed(range(MOST_WAITING // 2), NOW, files=2 * MOST_FILES // MOST_WAITING).full
    assert not failed(range(MOST_WAITING // 2 - 1), NOW, files=2 * MOST_FILES // MOST_WAITING).full


def test_parked_batches_leave_the_cursor_and_waiting_ones_stay() -> None:
    parked, waiting = failed("ab"), failed("c", NOW)
    both = Batches(failed=[*parked.failed, *waiting.failed])
    assert both.without_parked().failed == waiting.failed

"""The cursor's commands show their effect, and change the cursor only without `--dry-run`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from blocks.batches import Batch, Outcome
from blocks.landing import LandedFile, listing
from flows.sensors.cursor import Cursor, CursorStore
from flows.sensors.cursor_command import main

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HOUR = timedelta(hours=1)


@pytest.fixture
def store(s3: "S3Client", s3_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> CursorStore:
    """A bucket with two processed files and an unprocessed one."""
    monkeypatch.setenv("S3_ENDPOINT_URL", s3_url)
    monkeypatch.setenv("S3_BUCKET", bucket)
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=f"inbound/{key}", Body=key.encode())
    store = CursorStore(s3, bucket, "inbound/")
    cursor, tag = store.load()
    batch = cursor.next_batch(listing(s3, bucket, "inbound/"), 10)
    assert batch
    store.save(cursor.advanced(batch, HOUR, "run-1"), tag)
    s3.put_object(Bucket=bucket, Key="inbound/c", Body=b"c")
    return store


def new_keys(store: CursorStore) -> list[str]:
    batch = store.load()[0].next_batch(listing(store.s3, store.bucket, "inbound/"), 10)
    return [file.key for file in batch.files] if batch else []


def park(store: CursorStore) -> str:
    cursor, tag = store.load()
    outcome = Outcome(well=False, reason="Failed: the disk is full")
    store.save(cursor.settled({"run-1": outcome}, store.now, 4, HOUR), tag)
    return store.load()[0].parked[0].batch.id


def test_status_shows_the_floor_and_the_runs(store: CursorStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show"]) == 0
    shown = capsys.readouterr().out
    assert f"s3://{store.bucket}/{store.key}" in shown
    assert "2 of them have been processed" in shown
    assert "running: batch" in shown
    assert "2 files from inbound/a, attempt 1, flow run run-1" in shown


def test_a_dry_run_says_what_it_would_mean_and_changes_nothing(
    store: CursorStore, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.load()
    for command, meaning in (
        (["rewind", "2013-01-01"], "3 files dated 2013-01-01 00:00:00 UTC or later"),
        (["rewind", "2013-01-01T06:00+02:00"], "3 files dated 2013-01-01 04:00:00 UTC or later"),
        (["skip", "--pattern", "[ab]"], "skip: 2 files that no run has processed"),
        (["skip", "--prefix", "elsewhere/"], "skip: 0 files that no run has processed"),
        (["skip"], "skip: 1 file that no run has processed"),
        (["release"], "no batch is parked"),
    ):
        assert main([*command, "--dry-run"]) == 0
        assert meaning in capsys.readouterr().out
    assert store.load() == before


def test_after_a_rewind_the_files_are_handed_on_again_as_another_run(store: CursorStore) -> None:
    before = store.load()[0].accepted[0].batch
    assert new_keys(store) == ["inbound/c"]
    main(["rewind", "2013-01-01"])
    assert new_keys(store) == ["inbound/a", "inbound/b", "inbound/c"]
    again = store.load()[0].next_batch(listing(store.s3, store.bucket, "inbound/"), 2)
    assert again
    assert (again.id, again.idempotency_key != before.idempotency_key) == (before.id, True)


def test_after_a_skip_only_what_comes_later_is_new(store: CursorStore) -> None:
    main(["skip"])
    cursor = store.load()[0]
    later = LandedFile(key="inbound/d", etag="d", last_modified=cursor.floor)
    earlier = LandedFile(key="inbound/e", etag="e", last_modified=cursor.floor - timedelta(seconds=1))
    batch = cursor.next_batch([earlier, later], 10)
    assert batch
    assert batch.files == [later]


def test_a_parked_batch_is_shown_with_its_reason_and_released_by_its_name(
    store: CursorStore, capsys: pytest.CaptureFixture[str]
) -> None:
    name = park(store)
    main(["show"])
    told = f"parked: batch {name}, 2 files from inbound/a, failed in attempt 1. Failed: the disk is full"
    assert told in capsys.readouterr().out
    assert main(["release", "nobody"]) == 1
    assert "Not parked: nobody" in capsys.readouterr().err
    assert store.parked.next_released() is None
    assert main(["release", name]) == 0
    assert store.load()[0].released
    released = store.parked.next_released()
    assert released
    assert (released[1].batch.id, released[1].batch.attempt) == (name, 2)
    assert store.parked.parked_objects() == []


def test_a_bucket_that_cannot_be_used_is_named(
    store: CursorStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S3_BUCKET", "no-such-bucket")
    assert main(["show"]) == 1
    assert "s3://no-such-bucket cannot be used" in capsys.readouterr().err


def test_a_parked_batch_is_forgotten_by_its_name(store: CursorStore, capsys: pytest.CaptureFixture[str]) -> None:
    name = park(store)
    assert main(["forget", name, "--dry-run"]) == 0
    assert len(store.parked.parked_objects()) == 1
    assert main(["forget", name]) == 0
    assert "never retry: batch" in capsys.readouterr().out
    assert store.parked.parked_objects() == store.load()[0].failed == []


@pytest.mark.parametrize("rewind", [["2013-01-31"], ["2013-01-31T06:00+14:00"]])
def test_a_rewind_leaves_what_is_older_as_it_was(store: CursorStore, rewind: list[str]) -> None:
    old = LandedFile(key="inbound/old", etag="o", last_modified=datetime(2013, 1, 1, tzinfo=UTC))
    store.change(lambda cursor: cursor.model_copy(update={"floor": old.date}).with_processed([old]))
    assert main(["rewind", *rewind]) == 0
    cursor = store.load()[0]
    assert cursor.floor == old.date
    assert list(cursor.new([old])) == []


def test_a_rewind_to_later_than_the_cursor_loses_nothing(store: CursorStore) -> None:
    store.change(lambda cursor: cursor.model_copy(update={"floor": datetime(2013, 1, 1, tzinfo=UTC)}))
    assert main(["rewind", "2013-02-01"]) == 0
    late = LandedFile(key="inbound/late", etag="l", last_modified=datetime(2013, 1, 15, tzinfo=UTC))
    assert list(store.load()[0].new([late])) == [late]


@pytest.mark.parametrize("to", ["2913-01-01", "9999-12-31T23:59:59+00:00"])
def test_a_rewind_to_a_time_yet_to_come_is_refused(
    store: CursorStore, capsys: pytest.CaptureFixture[str], to: str
) -> None:
    before = store.load()
    assert main(["rewind", to]) == 1
    assert "is in the future" in capsys.readouterr().err
    assert store.load() == before


@pytest.mark.parametrize("to", ["yesterday", "0001-01-01T00:00+14:00", "9999-12-31T23:00-14:00", "2013-02-30"])
def test_a_date_that_is_none_is_told_with_an_example(capsys: pytest.CaptureFixture[str], to: str) -> None:
    with pytest.raises(SystemExit):
        main(["rewind", to])
    assert f"{to} is not a date such as 2013-01-31" in capsys.readouterr().err


def test_an_upload_under_way_during_a_skip_is_found(store: CursorStore) -> None:
    main(["skip"])
    cursor = store.load()[0]
    began = LandedFile(key="inbound/d", etag="d", last_modified=store.now - timedelta(minutes=50))
    longer = LandedFile(key="inbound/e", etag="e", last_modified=store.now - timedelta(minutes=70))
    assert list(cursor.new([began, longer])) == [began]
    assert new_keys(store) == []


def test_a_claimed_batch_is_handed_on_once_after_a_skip_and_once_more_after_a_rewind(store: CursorStore) -> None:
    claimed = store.change(lambda cursor: cursor.claimed(cursor.next_batch(listing(store.s3, store.bucket, ""), 9)))
    assert claimed.pending
    main(["skip"])
    store.change(lambda cursor: cursor.advanced(claimed.pending, HOUR, "run-2"))
    assert new_keys(store) == []
    store.change(lambda cursor: cursor.claimed(claimed.pending))
    main(["rewind", "2013-01-01"])
    store.change(lambda cursor: cursor.advanced(claimed.pending, HOUR, "run-2"))
    assert new_keys(store) == ["inbound/a", "inbound/b", "inbound/c"]


def test_two_rewinds_in_a_second_are_two_generations() -> None:
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    once = Cursor().rewound(moment, moment)
    assert once.rewound(moment, moment).generation > once.generation > 0


def test_a_tool_moves_a_cursor_that_a_sensor_moves_meanwhile(
    store: CursorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: Any) -> Iterator[LandedFile]:
        yield from listing(*arguments)
        store.s3.put_object(Bucket=store.bucket, Key="inbound/d", Body=b"d")
        store.change(lambda cursor: cursor.claimed(Batch(files=[LandedFile(key="inbound/x")])))

    monkeypatch.setattr("flows.sensors.cursor_command.listing", slow)
    assert main(["skip"]) == 0
    assert store.load()[0].pending
    assert new_keys(store) == ["inbound/d"]

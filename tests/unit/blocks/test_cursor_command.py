"""The cursor's tools say what they would mean, and move the cursor only when they are meant."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from blocks.batches import Batch, Outcome
from blocks.cursor import CursorStore
from blocks.cursor_command import main
from blocks.landing import LandedFile, listing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HOUR = timedelta(hours=1)


@pytest.fixture
def store(s3: "S3Client", s3_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> CursorStore:
    """A bucket with two files that were handed on, and a third that was not."""
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
    assert "has handed on 2 of those" in shown
    assert "running: batch" in shown
    assert "2 files from inbound/a, attempt 1, flow run run-1" in shown


def test_a_dry_run_says_what_it_would_mean_and_changes_nothing(
    store: CursorStore, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.load()
    for command, meaning in (
        (["rewind", "2013-01-01"], "3 files dated 2013-01-01 00:00:00 UTC or later"),
        (["rewind", "2913-01-01T06:00+02:00"], "0 files dated 2913-01-01 04:00:00 UTC or later"),
        (["skip"], "1 files that no run was for are passed over"),
        (["release"], "none is parked"),
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
    assert cursor.next_batch([earlier, later], 10) == Batch(files=[later], generation=cursor.generation)


def test_a_parked_batch_is_shown_with_its_reason_and_released_by_its_name(
    store: CursorStore, capsys: pytest.CaptureFixture[str]
) -> None:
    name = park(store)
    main(["show"])
    assert (
        f"parked: batch {name}, 2 files from inbound/a, attempt 2. Failed: the disk is full" in capsys.readouterr().out
    )
    assert main(["release", "nobody"]) == 1
    assert "Not parked: nobody" in capsys.readouterr().err
    assert store.load()[0].due(datetime.now(UTC)) is None
    assert main(["release", name]) == 0
    due = store.load()[0].due(datetime.now(UTC) + HOUR)
    assert due
    assert due.id == name


def test_a_bucket_that_cannot_be_used_is_named(
    store: CursorStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S3_BUCKET", "no-such-bucket")
    assert main(["show"]) == 1
    assert "s3://no-such-bucket cannot be used" in capsys.readouterr().err

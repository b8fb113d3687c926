"""The sensor's cursor: every file version that stays for a poll is handed on, and once."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.batches import Batch, Failed
from blocks.landing import LandedFile, LandingUnavailable, listing, objects
from flows.sensors.cursor import Cursor, CursorMoved, CursorStore, CursorUnreadable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

START = datetime(2013, 1, 1, tzinfo=UTC)
OVERLAP = timedelta(seconds=5)
LATEST_UPLOAD = 5  # seconds from the start of an upload to its end, at most the overlap

# A step of a bucket's history: seconds pass, then some keys are put whose uploads began so many seconds ago.
puts = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, LATEST_UPLOAD), st.booleans()), max_size=4)
histories = st.lists(st.tuples(st.integers(0, 20), puts), max_size=12)


@dataclass
class Bucket:
    """Objects by key, dated as S3 dates them; every content is new."""

    now: int = 0
    objects: dict[str, LandedFile] = field(default_factory=dict)
    versions: int = 0

    def put(self, key: str, began_ago: int = 0) -> LandedFile:
        self.versions += 1
        date = START + timedelta(seconds=self.now - began_ago)
        self.objects[key] = LandedFile(key=key, etag=f"v{self.versions}", size=1, last_modified=date)
        return self.objects[key]


def file(key: str, second: int, etag: str = "v1") -> LandedFile:
    return LandedFile(key=key, etag=etag, last_modified=START + timedelta(seconds=second))


def version(file: LandedFile) -> tuple[str, str]:
    return file.key, file.etag


@dataclass
class Sensor:
    """Polls as the sensor does: takes a batch, hands it on, advances."""

    limit: int
    cursor: Cursor = field(default_factory=Cursor)
    handed_on: list[tuple[str, str]] = field(default_factory=list)

    def poll(self, bucket: Bucket) -> None:
        """Take batches until nothing is new."""
        for _ in range(1000):
            batch = self.cursor.next_batch(bucket.objects.values(), self.limit)
            if not batch:
                return
            assert len(batch.files) <= self.limit
            self.handed_on += map(version, batch.files)
            # What is saved and loaded again is the same cursor.
            self.cursor = Cursor.model_validate_json(self.cursor.advanced(batch, OVERLAP).model_dump_json())
        raise RuntimeError("the sensor never comes to rest")


@settings(max_examples=100)
@given(histories, st.integers(1, 5))
def test_every_version_that_stays_for_a_poll_is_handed_on_once(
    history: list[tuple[int, list[tuple[str, int, bool]]]], limit: int
) -> None:
    bucket, sensor, seen = Bucket(), Sensor(limit), set[tuple[str, str]]()
    for seconds, files in history:
        bucket.now += seconds
        for key, began_ago, poll in files:
            bucket.put(key, began_ago)
            if poll:
                sensor.poll(bucket)
                seen |= set(map(version, bucket.objects.values()))
        sensor.poll(bucket)
        seen |= set(map(version, bucket.objects.values()))
    assert sorted(sensor.handed_on) == sorted(seen)


@settings(max_examples=100)
@given(histories, st.integers(1, 5))
def test_the_cursor_holds_no_more_than_one_window(
    history: list[tuple[int, list[tuple[str, int, bool]]]], limit: int
) -> None:
    bucket, sensor = Bucket(), Sensor(limit)
    for seconds, files in history:
        bucket.now += seconds
        for key, began_ago, _ in files:
            bucket.put(key, began_ago)
        sensor.poll(bucket)
    if seconds := sensor.cursor.window:
        newest = datetime.fromtimestamp(max(seconds), UTC)
        assert sensor.cursor.floor == newest - OVERLAP
        assert datetime.fromtimestamp(min(seconds), UTC) >= sensor.cursor.floor


def test_files_of_the_same_second_are_all_handed_on_even_over_several_batches() -> None:
    files = [file(key, 0) for key in "dbca"]
    first = Cursor().next_batch(files, 3)
    assert first
    rest = Cursor().advanced(first, OVERLAP).next_batch(files, 3)
    assert rest
    assert [each.key for each in [*first.files, *rest.files]] == list("abcd")


def test_the_oldest_come_first() -> None:
    batch = Cursor().next_batch([file("a", 9), file("z", 1)], 1)
    assert batch
    assert [each.key for each in batch.files] == ["z"]


def test_a_changed_file_is_a_new_version_and_so_is_content_that_comes_back_but_an_unchanged_one_is_not() -> None:
    cursor = Cursor().advanced(Batch(files=[file("a", 0)]), OVERLAP)
    assert cursor.next_batch([file("a", 0)], 10) is None
    assert cursor.next_batch([file("a", 1, "v1")], 10) is not None
    assert cursor.next_batch([file("a", 0, "v2")], 10) is not None


def test_a_fraction_of_a_second_that_only_a_listing_tells_makes_no_other_version() -> None:
    told = file("a", 0)
    listed = told.model_copy(update={"last_modified": START + timedelta(milliseconds=789)})
    assert Cursor().advanced(Batch(files=[told]), OVERLAP).next_batch([listed], 10) is None
    assert Batch(files=[told]).idempotency_key == Batch(files=[listed]).idempotency_key


def test_the_same_files_in_two_buckets_are_two_batches() -> None:
    one, two = Batch(files=[file("a", 0)], place="s3://one"), Batch(files=[file("a", 0)], place="s3://two")
    assert one.idempotency_key != two.idempotency_key


def test_an_upload_that_took_longer_than_the_overlap_is_not_found() -> None:
    """The documented limit of a cursor that does not hold the whole bucket."""
    cursor = Cursor().advanced(Batch(files=[file("a", 100)]), OVERLAP)
    assert cursor.next_batch([file("b", 95)], 10) is not None
    assert cursor.next_batch([file("b", 94)], 10) is None


def test_what_becomes_visible_while_a_listing_runs_is_found_by_the_next_however_long_the_listing_took() -> None:
    listing_began = START
    late = Cursor().next_batch([file("z", 3600)], 10, listing_began)
    assert late
    cursor = Cursor().advanced(late, OVERLAP)
    again = cursor.next_batch([file("a", 1), file("z", 3600)], 10, START + timedelta(seconds=3601))
    assert again
    assert [each.key for each in again.files] == ["a"]


def test_a_batch_has_the_same_idempotency_key_in_any_order_and_another_for_other_versions() -> None:
    one, two = file("a", 0), file("b", 0)
    assert Batch(files=[one, two]).idempotency_key == Batch(files=[two, one]).idempotency_key
    others = ([one], [one, two], [file("a", 0, "v2")], [file("a", 1)])
    assert len({Batch(files=files).idempotency_key for files in others}) == 4


def test_a_claimed_batch_survives_a_restart_and_is_gone_once_accepted(s3: "S3Client", bucket: str) -> None:
    store, batch = CursorStore(s3, bucket, "inbound/"), Batch(files=[file("a", 0)])
    tag = store.save(Cursor().claimed(batch), "")
    restarted, loaded_tag = CursorStore(s3, bucket, "inbound/").load()
    assert (restarted.pending, loaded_tag) == (batch, tag)
    store.save(restarted.advanced(batch, OVERLAP), loaded_tag)
    assert store.load()[0].pending is None


def test_a_bucket_without_a_cursor_begins_at_the_beginning(s3: "S3Client", bucket: str) -> None:
    store = CursorStore(s3, bucket, "inbound/")
    cursor, tag = store.load()
    assert (cursor.floor, cursor.window, tag) == (Cursor().floor, {}, "")
    assert cursor.generation == int(store.now.timestamp())


def test_of_a_claimed_batch_a_rewind_makes_new_what_it_is_about_and_nothing_else() -> None:
    claimed = Cursor().claimed(Batch(files=[file("a", 0), file("b", 9)]))
    rewound = claimed.rewound(START + timedelta(seconds=5), START)
    assert rewound.pending
    assert list(rewound.advanced(rewound.pending, OVERLAP).new([file("a", 0), file("b", 9)])) == [file("b", 9)]


def test_the_cursor_lies_outside_the_landing_place(s3: "S3Client", bucket: str) -> None:
    CursorStore(s3, bucket, "inbound/").save(Cursor(), "")
    CursorStore(s3, bucket, "").save(Cursor(), "")
    assert list(listing(s3, bucket, "")) == []
    saved = s3.list_objects_v2(Bucket=bucket, Prefix="_")["Contents"]
    assert [each["Key"] for each in saved] == ["_cursors//*.json", "_cursors/inbound%2F/*.json"]


@pytest.mark.parametrize("saved_before", [False, True])
def test_of_two_sensors_the_second_to_save_learns_that_the_cursor_moved(
    s3: "S3Client", bucket: str, saved_before: bool
) -> None:
    one, two = CursorStore(s3, bucket, "inbound/"), CursorStore(s3, bucket, "inbound/")
    if saved_before:
        one.save(Cursor(), "")
    (_, tag), (_, stale) = one.load(), two.load()
    mine = Cursor().claimed(Batch(files=[file("a", 0)]))
    one.save(mine, tag)
    with pytest.raises(CursorMoved, match=rf"s3://{bucket}/_cursors/inbound%2F/\*\.json"):
        two.save(Cursor().claimed(Batch(files=[file("b", 0)])), stale)
    assert two.load()[0].pending == mine.pending


def test_a_change_is_made_to_the_cursor_as_it_is_by_then(s3: "S3Client", bucket: str) -> None:
    store, other = CursorStore(s3, bucket, "inbound/"), CursorStore(s3, bucket, "inbound/")
    store.save(Cursor(), "")
    batch, seen = Batch(files=[file("a", 0)]), list[Batch | None]()

    def raised(cursor: Cursor) -> Cursor:
        seen.append(cursor.pending)
        if len(seen) == 1:
            other.change(lambda cursor: cursor.claimed(batch))
        return cursor.with_floor(START)

    store.change(raised)
    assert seen == [None, batch]
    assert (store.load()[0].pending, store.load()[0].floor) == (batch, START)


def test_a_change_that_others_are_always_faster_than_is_given_up(s3: "S3Client", bucket: str) -> None:
    store, other = CursorStore(s3, bucket, "inbound/"), CursorStore(s3, bucket, "inbound/")
    numbers = iter(range(1000))

    def slow(cursor: Cursor) -> Cursor:
        other.change(lambda cursor: cursor.claimed(Batch(files=[file(str(next(numbers)), 0)])))
        return cursor.with_floor(START)

    with pytest.raises(CursorMoved, match="Try again"):
        store.change(slow)


@pytest.mark.parametrize(
    ("saved", "reason"),
    [
        (b"key,value\n", "Expecting value"),
        (b"", "Expecting value"),
        (b"{}", "no floor and window"),
        (b"[" * 100_000, "recursion"),
        (b"\xff", "codec can't decode"),
        (b'"text"', "no floor and window"),
        (b'{"floor": "2013-01-01T00:00:00Z", "window": {}, "format": 4}', "format is 4"),
        (b'{"floor": "2013-01-01T00:00:00Z", "window": {}, "format": null}', "format is None"),
        (b'{"floor": "2013-01-01T00:00:00Z", "window": {}, "later": 1}', "later: Extra inputs"),
        (b'{"floor": "yesterday", "window": {}}', "floor: "),
        (b'{"floor": "2013-01-01T00:00:00", "window": {}}', "floor: Input should have timezone"),
        (b'{"floor": "2013-01-01T00:00:00Z", "window": {"1": "short"}}', "names that are not 12 characters"),
        (
            b'{"floor": "2013-01-01T00:00:00Z", "window": {}, "format": 3, "accepted": [{"batch": {"files": '
            b'[{"key": "a"}], "later": 1}, "run_id": "r"}]}',
            "accepted.0.batch.later: Extra inputs",
        ),
    ],
    ids=range(13),
)
def test_an_object_that_is_not_a_cursor_or_is_of_a_later_format_is_named_and_never_overwritten(
    s3: "S3Client", bucket: str, saved: bytes, reason: str
) -> None:
    store = CursorStore(s3, bucket, "inbound/")
    s3.put_object(Bucket=bucket, Key=store.key, Body=saved)
    named = rf"(?s)s3://{bucket}/_cursors/inbound%2F/\*\.json.*{reason}.*Start the version that wrote it"
    with pytest.raises(CursorUnreadable, match=named):
        store.load()
    with pytest.raises(CursorUnreadable):
        store.change(lambda _: Cursor())
    with pytest.raises(CursorMoved):
        store.save(Cursor(), "")
    assert s3.get_object(Bucket=bucket, Key=store.key)["Body"].read() == saved


def test_a_cursor_of_the_format_before_is_read_and_its_parked_batches_become_objects(
    s3: "S3Client", bucket: str
) -> None:
    store = CursorStore(s3, bucket, "inbound/")
    saved = (
        b'{"pending":null,"held_until":"0001-01-01T00:00:00Z","held_here":false,"accepted":[],"failed":[{"batch":'
        b'{"files":[{"key":"a","etag":"v1","size":0,"last_modified":"2013-01-01T00:00:00Z"}],"attempt":5,"generation":0'
        b',"place":"","reach":null},"reason":"the disk is full","retry_at":null}],"shown":["d25d0a3c3a3c"],"floor":'
        b'"2013-01-01T00:00:00Z","window":{"1356998400":"abcdefghijkl"},"reconciled":"0001-01-01T00:00:00Z",'
        b'"listing_began":null,"listed_to":"","generation":7,"place":""}'
    )
    s3.put_object(Bucket=bucket, Key=store.key, Body=saved)
    cursor = store.change(store.store_parked)
    assert (cursor.failed, cursor.generation, cursor.known()) == ([], 7, {"abcdefghijkl"})
    assert [each.reason for each in store.parked.named([])] == ["the disk is full"]
    assert store.load()[0] == cursor


@pytest.mark.parametrize("length", [1, 330, 340, 1000])
def test_every_key_beside_the_data_fits_whatever_the_prefix(s3: "S3Client", bucket: str, length: int) -> None:
    one, other = (CursorStore(s3, bucket, "/" * length + end) for end in "ab")
    assert one.key != other.key
    assert one.parked.parked != other.parked.parked
    cursor, tag = one.load()
    one.save(cursor, tag)
    failed = Failed(batch=Batch(files=[file("a", 0)]), reason="")
    one.parked.park(failed)
    one.processed.add({1: "abcdefghijkl"}, START)
    assert one.parked.named([]) == [failed]
    keys = [each.key for each in objects(s3, bucket, "")]
    assert len(keys) == 3
    assert max(map(len, keys)) <= 1024


def test_an_unknown_bucket_is_named_on_load_and_on_save(s3: "S3Client") -> None:
    store = CursorStore(s3, "no-such-bucket", "inbound/")
    with pytest.raises(LandingUnavailable, match="s3://no-such-bucket"):
        store.load()
    with pytest.raises(LandingUnavailable, match="s3://no-such-bucket"):
        store.save(Cursor(), "")

"""The sensor's cursor: which file versions in the landing bucket have been processed, and which come next.

A version is `(key, etag, date)`, so a file that changes and later changes back is a new version. The date is S3's
`LastModified`.

`LastModified` is when an upload started, to the second. A slow upload can therefore appear with an earlier date than
versions already processed. So the cursor keeps the fingerprints of the versions in a time window (the overlap), and
ignores versions from before the window's floor.

The cursor holds at most the versions of one window. With events, it holds at most the versions processed since the
last complete listing.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from pydantic import AwareDatetime, Field, ValidationError

from blocks.batches import Accepted, Batch, Batches
from blocks.errors import PlatformError
from blocks.landing import BEGINNING, CURSORS, NOT_S3, LandedFile, code_of, served_at, unavailable
from blocks.parked import ParkedStore
from flows.sensors.processed import ProcessedStore
from flows.sensors.versions import FINGERPRINT, fingerprint, fingerprints

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OVERLAP = timedelta(hours=1)
"""Default overlap. A file up to this much older than the newest processed file is still found."""

MOST_TRIES = 10
"""Maximum attempts to save a change while other sensors save first."""

MOST_KEY = 1024
"""Maximum length of an object's key in S3, in bytes."""
SUFFIX_BYTES = 100
"""Bytes that the keys of objects beside the cursor may add to its key."""

FORMAT = 3
"""Format of a saved cursor. Format 1 has no number and also holds the parked batches. In formats 1 and 2, a claim can
expire, because a sensor could run the pipeline in its own process."""
REMOVED_FIELDS = ("shown", "held_until", "held_here")
"""Fields that only earlier formats have."""


class CursorMoved(PlatformError):
    """Another sensor moved the cursor first, so that sensor owns the batch."""


class CursorUnreadable(PlatformError):
    """The saved object is not a cursor that this version can read."""


class Cursor(Batches):
    """The sensor's progress.

    Attributes:
        floor: versions dated before it are ignored.
        window: the processed versions dated at the floor or later. It maps the second of their date (Unix time) to
            their fingerprints, joined into one text.
        reconciled: when the last complete listing began; only a sensor with events uses it.
        listing_began: when the unfinished listing began; None if there is none.
        listed_to: the last key that the unfinished listing has reached.
        events_since: versions that have left the window since this time are kept in objects of their own. They tell the
            event of a slow upload from an event that came late. It is None until a sensor uses events.
        leaving: the part of the window to move into such objects when the cursor is saved.
        generation: increased by a rewind.
        place: the cursor's URL.
    """

    format: int = FORMAT
    floor: AwareDatetime = BEGINNING
    window: dict[int, str] = Field(default_factory=dict)
    reconciled: AwareDatetime = BEGINNING
    listing_began: AwareDatetime | None = None
    listed_to: str = ""
    events_since: AwareDatetime | None = None
    leaving: dict[int, str] = Field(default_factory=dict, exclude=True)
    generation: int = 0
    place: str = ""

    def next_batch(
        self,
        files: Iterable[LandedFile],
        limit: int,
        reach: datetime | None = None,
        until: datetime | None = None,
        floor: datetime | None = None,
    ) -> Batch | None:
        """Return a batch of the oldest unprocessed versions; None if there are none.

        Args:
            files: the versions to choose from. At most `limit` of them are in memory at a time.
            limit: maximum number of files.
            reach: when the listing of the files began. The listing may have missed versions that became visible since
                then, so the floor must stay at least the overlap before it.
            until: versions dated later are left for a later batch.
            floor: versions dated earlier are left out; the cursor's floor by default.
        """
        return self._batch(nsmallest(limit, self.new(files, until, floor), key=_age), reach)

    def next_listed(
        self, files: Iterable[LandedFile], limit: int, now: datetime, overlap: timedelta, quiet: timedelta
    ) -> tuple[Self, Batch | None]:
        """Return the cursor after the next part of a listing, and a batch of unprocessed versions in key order.

        One listing of the whole bucket can fill many batches. A version that becomes visible behind the listing's
        position is found by its event or by the next listing.

        Args:
            files: the files whose keys come after `listed_to`, in key order.
            limit: maximum number of files.
            now: S3's clock, read before the files were listed.
            overlap: how far the floor stays before the start of the whole listing.
            quiet: versions younger than this are left for a later batch.
        """
        began = self.listing_began or now
        found = list(islice(self.new(files, now - quiet if quiet else None), limit + 1))
        batch = self._batch(found[:limit], BEGINNING)
        if batch and len(batch.files) < len(found):
            return self.model_copy(update={"listing_began": began, "listed_to": batch.files[-1].key}), batch
        newest = datetime.fromtimestamp(max(self.window, default=0), UTC)
        reach = min(max(newest, batch.newest if batch else newest), began - quiet)
        done = {"reconciled": began, "listing_began": None, "listed_to": ""}
        return self.model_copy(update=done).with_floor(_minus(reach, overlap)), batch

    def new(
        self, files: Iterable[LandedFile], until: datetime | None = None, floor: datetime | None = None
    ) -> Iterator[LandedFile]:
        """Yield the unprocessed files that are dated at the floor or later, but not after `until`."""
        known, floor = self.known(), self.floor if floor is None else floor
        for file in files:
            if floor <= file.date and not (until and file.date > until) and fingerprint(file) not in known:
                yield file

    def _batch(self, files: list[LandedFile], reach: datetime | None) -> Batch | None:
        return Batch.of(files, generation=self.generation, place=self.place, reach=reach)

    def known(self) -> set[str]:
        """Return the fingerprints of the window."""
        return {name for text in self.window.values() for name in fingerprints(text)}

    def with_events(self, now: datetime) -> Self:
        """Return the cursor of a sensor that uses events; `now` is S3's clock."""
        if self.events_since is not None:
            return self
        return self.model_copy(update={"events_since": BEGINNING if self.floor == BEGINNING else now})

    def advanced(self, batch: Batch, overlap: timedelta, run_id: str = "") -> Self:
        """Return the cursor after Prefect has accepted the batch as the run with this id."""
        accepted = [*self.accepted, Accepted(batch=batch, run_id=run_id)] if run_id else self.accepted
        cursor = self.model_copy(update={"pending": None, "taken": "", "accepted": accepted})
        # A retry is in the window already. For a batch claimed before a rewind, the rewind decided which files are new.
        if batch.attempt > 1 or batch.generation != self.generation:
            return cursor
        reach = min(batch.newest, batch.reach or batch.newest)
        return cursor.with_processed(batch.files).with_floor(_minus(reach, overlap))

    def with_processed(self, files: Iterable[LandedFile]) -> Self:
        """Return the cursor with the files recorded as processed."""
        window = dict(self.window)
        for file in files:
            second = int(file.date.timestamp())
            window[second] = window.get(second, "") + fingerprint(file)
        return self.model_copy(update={"window": window})

    def rewound(self, to: datetime, now: datetime) -> Self:
        """Return the cursor to which versions dated at `to` (a whole second) or later are new. Others do not change."""
        claimed = self.pending.files if self.pending else []
        kept = self.with_processed(file for file in claimed if file.date < to)
        changes = {
            "floor": min(self.floor, to),
            "window": {second: text for second, text in kept.window.items() if second < to.timestamp()},
            "reconciled": BEGINNING,
            "listing_began": None,
            "listed_to": "",
            "generation": max(self.generation + 1, int(now.timestamp())),
        }
        return self.model_copy(update=changes)

    def skipped(self, files: Iterable[LandedFile], floor: datetime, now: datetime) -> Self:
        """Return the cursor that treats the files, and all versions dated before the floor, as processed."""
        cursor = self.with_floor(floor).model_copy(update={"events_since": self.events_since and now})
        return cursor.with_processed(cursor.new(files))

    def with_floor(self, floor: datetime) -> Self:
        """Return the cursor with its floor raised to this time; unchanged if the floor is there already."""
        floor = floor.replace(microsecond=0)
        if floor <= self.floor:
            return self
        window = {second: text for second, text in self.window.items() if second >= floor.timestamp()}
        leaving = {second: text for second, text in self.window.items() if second not in window}
        for second, text in self.leaving.items():
            leaving[second] = text + leaving.get(second, "")
        return self.model_copy(update={"floor": floor, "window": window, "leaving": leaving})


class CursorStore:
    """Keeps a cursor in S3, in the landing bucket but outside the prefix. It saves by compare-and-swap.

    Each pair of prefix and pattern has its own cursor: a file that one pattern ignores is new to another pattern.

    Attributes:
        now: S3's clock when the cursor was last loaded.
        parked: the batches that wait for a person.
        processed: the processed versions that have left the cursor's window.
    """

    def __init__(self, s3: "S3Client", bucket: str, prefix: str, pattern: str = "*") -> None:
        self.s3, self.bucket, self.prefix = s3, bucket, prefix
        self.key, beside = _keys(prefix, pattern)
        self.place = f"s3://{bucket}/{self.key}"
        self.now = BEGINNING
        self.parked, self.processed = ParkedStore(s3, bucket, beside), ProcessedStore(s3, bucket, beside)

    def load(self) -> tuple[Cursor, str]:
        """Return the cursor and the ETag to save it against; a new cursor and "" if none is saved.

        A new cursor has a new generation: if somebody deleted the old cursor, the files are processed again.

        Raises:
            LandingUnavailable: S3 does not answer.
            CursorUnreadable: the object is not a cursor, or a later version of the platform wrote it.
        """
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=self.key)
            self.now = served_at(answer)
            cursor = self._read(answer["Body"].read())
            return cursor, answer["ETag"]
        except self.s3.exceptions.NoSuchKey as error:
            self.now = served_at(error.response)
            return Cursor(generation=int(self.now.timestamp()), place=self.place), ""
        except NOT_S3 as error:
            raise unavailable(self.bucket, error) from error

    def _read(self, text: bytes) -> Cursor:
        try:
            cursor = Cursor.model_validate(_upgraded(json.loads(text)), extra="forbid")
            if any(len(names) % FINGERPRINT for names in cursor.window.values()):
                raise ValueError(f"its window has names that are not {FINGERPRINT} characters long")
        except (ValueError, RecursionError) as error:
            raise CursorUnreadable(
                f"The object {self.place} is not a cursor that this version of the sensor can read: {_reason(error)}. "
                "The sensor does not change it. Start the version that wrote it, or restore an earlier version of the "
                "object. If you delete it, the sensor processes every file below its prefix again."
            ) from error
        return cursor.model_copy(update={"place": self.place})

    def store_parked(self, cursor: Cursor) -> Cursor:
        """Save the cursor's parked batches as objects of their own, and return the cursor without them.

        Raises:
            LandingUnavailable: S3 does not answer.
        """
        for failed in cursor.parked:
            self.parked.park(failed)
        return cursor.without_parked() if cursor.parked else cursor

    def change(self, move: Callable[[Cursor], Cursor], loaded: tuple[Cursor, str] | None = None) -> Cursor:
        """Apply `move` to the cursor and save the result; load and try again if another sensor saved first.

        Args:
            move: returns the changed cursor, or the same object if nothing is to be saved.
            loaded: the cursor and its ETag, if they were loaded already.

        Returns:
            The cursor as it is now.

        Raises:
            CursorMoved: other sensors were faster in every attempt, or `move` raised it.
            LandingUnavailable, CursorUnreadable: see `load`.
        """
        for _ in range(MOST_TRIES):
            cursor, tag = loaded or self.load()
            if (moved := move(cursor)) is cursor:
                return cursor
            try:
                self.save(moved, tag)
            except CursorMoved:
                loaded = None
            else:
                return moved
        raise CursorMoved(f"Other sensors moved the cursor {self.place} first, {MOST_TRIES} times. Try again.")

    def save(self, cursor: Cursor, tag: str) -> str:
        """Save the cursor if its ETag is still `tag`, and return the new ETag.

        Raises:
            CursorMoved: another sensor saved the cursor in between.
            LandingUnavailable: S3 does not answer.
        """
        if cursor.leaving and cursor.events_since is not None:
            self.processed.add(cursor.leaving, self.now)
        body = cursor.model_dump_json().encode()
        try:
            if tag:
                return self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, IfMatch=tag)["ETag"]
            return self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, IfNoneMatch="*")["ETag"]
        except NOT_S3 as error:
            if code_of(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise CursorMoved(f"Another sensor moved the cursor {self.place} first.") from error
            raise unavailable(self.bucket, error) from error


def _keys(prefix: str, pattern: str) -> tuple[str, str]:
    """Return the cursor's key, and the prefix of the keys beside it. All fit S3's limit for keys."""
    stem = f"{CURSORS}{quote(prefix, safe='')}/{quote(pattern, safe='*')}"
    short = f"{CURSORS}{sha256(stem.encode()).hexdigest()}"
    fits = len(stem) + len(".json") <= MOST_KEY
    return f"{stem if fits else short}.json", stem if len(stem) + SUFFIX_BYTES <= MOST_KEY else short


def _upgraded(saved: Any) -> dict[str, Any]:
    """Convert a saved cursor to the current format.

    Raises:
        ValueError: it is not a cursor, or it has a later format.
    """
    if not isinstance(saved, dict) or not {"floor", "window"} <= saved.keys():
        raise ValueError("it has no floor and window")
    number = saved.get("format", 1)
    if number not in range(1, FORMAT + 1):
        raise ValueError(f"its format is {number}, but this version reads only formats up to {FORMAT}")
    if number == FORMAT:
        return saved
    kept = {name: value for name, value in saved.items() if name not in REMOVED_FIELDS}
    return {**kept, "format": FORMAT, "unshown": bool(saved.get("shown") or saved.get("unshown"))}


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)


def _age(file: LandedFile) -> tuple[datetime, str]:
    return file.date, file.key


def _minus(moment: datetime, delta: timedelta) -> datetime:
    return moment - delta if moment - BEGINNING > delta else BEGINNING

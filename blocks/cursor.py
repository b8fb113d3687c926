"""Which file versions of the landing bucket were handed on, and which come next.

A version is `(key, etag, date)`: content that comes back after another is a version of its own. S3 dates it by the
start of its upload, to the second, so a version that becomes visible may be older than one already handed on; the
cursor therefore remembers, by fingerprint, the versions of an overlap window, and looks at nothing dated before the
window's floor. It is never larger than what arrived in one window; with events,
than what was handed on since the last listing that came to its end.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from botocore.exceptions import ClientError
from pydantic import AwareDatetime, Field, ValidationError

from blocks.batches import Accepted, Batch, Batches
from blocks.errors import PlatformError
from blocks.landing import BEGINNING, CURSORS, NOT_S3, LandedFile, served_at, unavailable
from blocks.parked import ParkedStore
from blocks.passed import PassedStore
from blocks.versions import FINGERPRINT, fingerprint, fingerprints

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OVERLAP = timedelta(hours=1)
"""How far before the newest file seen a file may be dated and still be found, where nothing else was chosen."""

MOST_TRIES = 10
"""How often a change is tried again because another sensor was faster."""

MOST_KEY = 1024
"""Bytes of an object's key in S3."""
BESIDE = 100
"""Bytes that the names of objects beside the cursor may add to its own."""

FORMAT = 3
"""Format of a saved cursor. Format 1, which had no number, held the parked batches as well. Up to format 2, a sensor
could run the pipeline in its own process, and held its claim for a time."""
GONE = ("shown", "held_until", "held_here")
"""Fields of earlier formats."""


class CursorMoved(PlatformError):
    """Another sensor moved the cursor first; its batch is its own."""


class CursorUnreadable(PlatformError):
    """What is saved as the cursor is something else."""


class Cursor(Batches):
    """How far the sensor has come.

    Attributes:
        floor: no version dated before it is looked at.
        window: the versions handed on that are dated at the floor or later: their fingerprints, joined, by the second
            of their date (Unix time).
        reconciled: when the last listing began that came to the end; kept where events set off the sensor.
        listing_began, listed_to: the same of the one that has not, and the last key that it has come to.
        events_since: versions that have left the window since then are kept elsewhere, so that an event of a slow
            upload can be told from one that came late; None until events set off a sensor.
        leaving: the part of the window that is to be kept elsewhere when the cursor is saved.
        generation: raised by a rewind.
        place: what the cursor is about.
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
        """The oldest of the versions that were not handed on, `limit` at most and none dated after `until`.

        Args:
            files: every version there is to choose from; no more than `limit` are held in memory.
            limit: how many files, at most.
            reach: when the listing of the files began. What became visible since then may have been passed over, so
                the floor must not come closer to it than the overlap.
            until: versions dated later are left for another time.
            floor: versions dated earlier are left out; the cursor's own floor by default.
        """
        return self._batch(nsmallest(limit, self.new(files, until, floor), key=_age), reach)

    def walked(
        self, files: Iterable[LandedFile], limit: int, now: datetime, overlap: timedelta, quiet: timedelta
    ) -> tuple[Self, Batch | None]:
        """The next versions that were not handed on, in the order of keys, and the cursor that has come so far.

        So a listing of the whole bucket is made once, however many batches it fills; a version that it has passed, and
        that is visible only then, is found by its event or the next listing.

        Args:
            files: those whose keys come after `listed_to`, in the order of keys.
            limit: how many files, at most.
            now: S3's clock, read before the listing of the files.
            overlap: how far behind the start of the whole listing the floor stays.
            quiet: versions dated less than that before now are left for another time.
        """
        began = self.listing_began or now
        found = list(islice(self.new(files, now - quiet if quiet else None), limit + 1))
        batch = self._batch(found[:limit], BEGINNING)
        if batch and len(batch.files) < len(found):
            return self.model_copy(update={"listing_began": began, "listed_to": batch.files[-1].key}), batch
        newest = datetime.fromtimestamp(max(self.window, default=0), UTC)
        reach = min(max(newest, batch.newest if batch else newest), began - quiet)
        done = {"reconciled": began, "listing_began": None, "listed_to": ""}
        return self.model_copy(update=done).raised(_minus(reach, overlap)), batch

    def new(
        self, files: Iterable[LandedFile], until: datetime | None = None, floor: datetime | None = None
    ) -> Iterator[LandedFile]:
        """Those of the files that were not handed on, and are dated at the floor or later, but not after `until`."""
        known, floor = self.known(), self.floor if floor is None else floor
        for file in files:
            if floor <= file.date and not (until and file.date > until) and fingerprint(file) not in known:
                yield file

    def _batch(self, files: list[LandedFile], reach: datetime | None) -> Batch | None:
        return Batch.of(files, generation=self.generation, place=self.place, reach=reach)

    def known(self) -> set[str]:
        """The fingerprints of the window."""
        return {name for text in self.window.values() for name in fingerprints(text)}

    def told(self, now: datetime) -> Self:
        """The cursor of a sensor that events set off, by S3's clock."""
        if self.events_since is not None:
            return self
        return self.model_copy(update={"events_since": BEGINNING if self.floor == BEGINNING else now})

    def advanced(self, batch: Batch, overlap: timedelta, run_id: str = "") -> Self:
        """The cursor once the batch was accepted, as the run with this id."""
        accepted = [*self.accepted, Accepted(batch=batch, run_id=run_id)] if run_id else self.accepted
        cursor = self.model_copy(update={"pending": None, "taken": "", "accepted": accepted})
        # A batch claimed before a rewind has left its place there to what the rewind wants.
        if batch.attempt > 1 or batch.generation != self.generation:
            return cursor
        reach = min(batch.newest, batch.reach or batch.newest)
        return cursor.noted(batch.files).raised(_minus(reach, overlap))

    def noted(self, files: Iterable[LandedFile]) -> Self:
        """The cursor that takes the files for handed on."""
        window = dict(self.window)
        for file in files:
            second = int(file.date.timestamp())
            window[second] = window.get(second, "") + fingerprint(file)
        return self.model_copy(update={"window": window})

    def rewound(self, to: datetime, now: datetime) -> Self:
        """The cursor to which every version dated at `to`, a whole second, or later is new; others are as before."""
        claimed = self.pending.files if self.pending else []
        noted = self.noted(file for file in claimed if file.date < to)
        changes = {
            "floor": min(self.floor, to),
            "window": {second: text for second, text in noted.window.items() if second < to.timestamp()},
            "reconciled": BEGINNING,
            "listing_began": None,
            "listed_to": "",
            "generation": max(self.generation + 1, int(now.timestamp())),
        }
        return self.model_copy(update=changes)

    def skipped(self, files: Iterable[LandedFile], floor: datetime, now: datetime) -> Self:
        """The cursor that takes the files, and whatever is dated before the floor and there now, for handed on."""
        raised = self.raised(floor).model_copy(update={"events_since": self.events_since and now})
        return raised.noted(raised.new(files))

    def raised(self, floor: datetime) -> Self:
        """The cursor with its floor no lower than that, and the window's versions from there on."""
        floor = floor.replace(microsecond=0)
        if floor <= self.floor:
            return self
        window = {second: text for second, text in self.window.items() if second >= floor.timestamp()}
        leaving = {second: text for second, text in self.window.items() if second not in window}
        for second, text in self.leaving.items():
            leaving[second] = text + leaving.get(second, "")
        return self.model_copy(update={"floor": floor, "window": window, "leaving": leaving})


class CursorStore:
    """Keeps a cursor in S3, beside the data but outside the prefix; saved by compare-and-swap.

    Each pair of prefix and pattern has a cursor of its own: a file that one pattern passes over is new to another.

    Attributes:
        now: S3's clock when the cursor was last loaded.
        parked: the batches that wait for a person.
        passed: what was handed on and has left the cursor's window.
    """

    def __init__(self, s3: "S3Client", bucket: str, prefix: str, pattern: str = "*") -> None:
        self.s3, self.bucket, self.prefix = s3, bucket, prefix
        self.key, beside = _keys(prefix, pattern)
        self.place = f"s3://{bucket}/{self.key}"
        self.now = BEGINNING
        self.parked, self.passed = ParkedStore(s3, bucket, beside), PassedStore(s3, bucket, beside)

    def load(self) -> tuple[Cursor, str]:
        """The cursor and the tag to save it against; a new cursor and an empty tag where none was saved.

        A new one has a generation of its own: where a cursor was deleted, files are handed on again.

        Raises:
            LandingUnavailable: S3 does not answer.
            CursorUnreadable: what is saved is not a cursor, or one of a later version of the platform.
        """
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=self.key)
            self.now = served_at(answer)
            cursor = self._read(answer["Body"].read())
            return cursor, answer["ETag"]
        except NOT_S3 as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchKey":
                self.now = served_at(error.response)
                return Cursor(generation=int(self.now.timestamp()), place=self.place), ""
            raise unavailable(self.bucket, error) from error

    def _read(self, text: bytes) -> Cursor:
        try:
            cursor = Cursor.model_validate(_upgraded(json.loads(text)), extra="forbid")
            if any(len(names) % FINGERPRINT for names in cursor.window.values()):
                raise ValueError(f"its window has names that are not {FINGERPRINT} characters long")
        except (ValueError, RecursionError) as error:
            raise CursorUnreadable(
                f"The object {self.place} is not a cursor that this version of the sensor can read: {_reason(error)}. "
                "The sensor leaves it as it is. Start the version that wrote it, or restore an earlier version of the "
                "object. If you delete it, the sensor hands on every file of the landing place once more."
            ) from error
        return cursor.model_copy(update={"place": self.place})

    def apart(self, cursor: Cursor) -> Cursor:
        """The cursor, once the batches in it that are to be parked are objects of their own.

        Raises:
            LandingUnavailable: S3 does not answer.
        """
        for failed in cursor.parked:
            self.parked.park(failed)
        return cursor.without_parked() if cursor.parked else cursor

    def change(self, move: Callable[[Cursor], Cursor], loaded: tuple[Cursor, str] | None = None) -> Cursor:
        """Save what `move` makes of the cursor, as it was loaded or is now; again where another sensor was faster.

        Returns:
            The cursor as it is now; not saved where `move` returned the very same.

        Raises:
            CursorMoved: others were faster each time, or so says `move`.
            LandingUnavailable, CursorUnreadable: as `load` does.
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
        raise CursorMoved(f"Others moved the cursor {self.place} first, {MOST_TRIES} times. Try again.")

    def save(self, cursor: Cursor, tag: str) -> str:
        """Save the cursor unless it was moved since it was loaded with this tag; return the new tag.

        Raises:
            CursorMoved: another sensor saved it in between.
            LandingUnavailable: S3 does not answer.
        """
        if cursor.leaving and cursor.events_since is not None:
            self.passed.add(cursor.leaving, self.now)
        body = cursor.model_dump_json().encode()
        try:
            if tag:
                return self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, IfMatch=tag)["ETag"]
            return self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, IfNoneMatch="*")["ETag"]
        except NOT_S3 as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            if code in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise CursorMoved(f"Another sensor moved the cursor {self.place} first.") from error
            raise unavailable(self.bucket, error) from error


def _keys(prefix: str, pattern: str) -> tuple[str, str]:
    """The key of a cursor, and what the keys of objects beside it begin with; none is longer than S3 takes."""
    stem = f"{CURSORS}{quote(prefix, safe='')}/{quote(pattern, safe='*')}"
    short = f"{CURSORS}{sha256(stem.encode()).hexdigest()}"
    fits = len(stem) + len(".json") <= MOST_KEY
    return f"{stem if fits else short}.json", stem if len(stem) + BESIDE <= MOST_KEY else short


def _upgraded(saved: Any) -> dict[str, Any]:
    """What is saved as a cursor, in today's format.

    Raises:
        ValueError: it is not a cursor, or one of a later format.
    """
    if not isinstance(saved, dict) or not {"floor", "window"} <= saved.keys():
        raise ValueError("it has no floor and window")
    number = saved.get("format", 1)
    if number not in range(1, FORMAT + 1):
        raise ValueError(f"its format is {number}, and this version knows formats up to {FORMAT}")
    if number == FORMAT:
        return saved
    kept = {name: value for name, value in saved.items() if name not in GONE}
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

"""Which file versions of the landing bucket were handed on, and which come next.

A version is `(key, etag, date)`: content that comes back after another is a version of its own. S3 dates it by the
start of its upload, to the second, so a version that becomes visible may be older than one already handed on; the
cursor therefore remembers, by fingerprint, the versions of an overlap window, and looks at nothing dated before the
window's floor. It is never larger than what arrived in one window; with events,
than what was handed on since the last listing that came to its end.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field, ValidationError

from blocks.batches import Accepted, Batch, Batches
from blocks.errors import PlatformError
from blocks.landing import BEGINNING, CURSORS, LandedFile, served_at, unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OVERLAP = timedelta(hours=1)
"""How far before the newest file seen a file may be dated and still be found, where nothing else was chosen."""

MOST_TRIES = 10
"""How often a change is tried again because another sensor was faster."""

FINGERPRINT = 12
"""Characters: 72 bits, so that among a million versions in the window a new one is taken for another once in 10^15."""


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
        generation: raised by a rewind.
        place: what the cursor is about.
    """

    floor: datetime = BEGINNING
    window: dict[int, str] = Field(default_factory=dict)
    reconciled: datetime = BEGINNING
    listing_began: datetime | None = None
    listed_to: str = ""
    generation: int = 0
    place: str = ""

    def next_batch(
        self,
        files: Iterable[LandedFile],
        limit: int,
        reach: datetime | None = None,
        until: datetime | None = None,
    ) -> Batch | None:
        """The oldest of the versions that were not handed on, `limit` at most and none dated after `until`.

        Args:
            files: every version there is to choose from; no more than `limit` are held in memory.
            limit: how many files, at most.
            reach: when the listing of the files began. What became visible since then may have been passed over, so
                the floor must not come closer to it than the overlap.
            until: versions dated later are left for another time.
        """
        return self._batch(nsmallest(limit, self.new(files, until), key=_age), reach)

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

    def new(self, files: Iterable[LandedFile], until: datetime | None = None) -> Iterator[LandedFile]:
        """Those of the files that were not handed on, and are dated at the floor or later, but not after `until`."""
        known = self.known()
        for file in files:
            if self.floor <= file.date and not (until and file.date > until) and fingerprint(file) not in known:
                yield file

    def _batch(self, files: list[LandedFile], reach: datetime | None) -> Batch | None:
        return Batch.of(files, generation=self.generation, place=self.place, reach=reach)

    def known(self) -> set[str]:
        """The fingerprints of the window."""
        return {
            text[start : start + FINGERPRINT]
            for text in self.window.values()
            for start in range(0, len(text), FINGERPRINT)
        }

    def advanced(self, batch: Batch, overlap: timedelta, run_id: str = "") -> Self:
        """The cursor once the batch was accepted, as the run with this id."""
        accepted = [*self.accepted, Accepted(batch=batch, run_id=run_id)] if run_id else self.accepted
        cursor = self.model_copy(update={"pending": None, "accepted": accepted})
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

    def skipped(self, files: Iterable[LandedFile], floor: datetime) -> Self:
        """The cursor that takes the files, and whatever is dated before the floor, for handed on."""
        raised = self.raised(floor)
        return raised.noted(raised.new(files))

    def raised(self, floor: datetime) -> Self:
        """The cursor with its floor no lower than that, and the window's versions from there on."""
        floor = floor.replace(microsecond=0)
        if floor <= self.floor:
            return self
        window = {second: text for second, text in self.window.items() if second >= floor.timestamp()}
        return self.model_copy(update={"floor": floor, "window": window})


class CursorStore:
    """Keeps a cursor in S3, beside the data but outside the prefix; saved by compare-and-swap.

    Each pair of prefix and pattern has a cursor of its own: a file that one pattern passes over is new to another.

    Attributes:
        now: S3's clock when the cursor was last loaded.
    """

    def __init__(self, s3: "S3Client", bucket: str, prefix: str, pattern: str = "*") -> None:
        self.s3, self.bucket = s3, bucket
        self.key = f"{CURSORS}{quote(prefix, safe='')}/{quote(pattern, safe='*')}.json"
        self.place = f"s3://{bucket}/{self.key}"
        self.now = BEGINNING

    def load(self) -> tuple[Cursor, str]:
        """The cursor and the tag to save it against; a new cursor and an empty tag where none was saved.

        A new one has a generation of its own: where a cursor was deleted, files are handed on again.

        Raises:
            LandingUnavailable: S3 does not answer.
            CursorUnreadable: the saved text is no cursor.
        """
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=self.key)
            self.now = served_at(answer)
            cursor = Cursor.model_validate_json(answer["Body"].read())
            return cursor.model_copy(update={"place": self.place}), answer["ETag"]
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchKey":
                self.now = served_at(error.response)
                return Cursor(generation=int(self.now.timestamp()), place=self.place), ""
            raise unavailable(self.bucket, error) from error
        except ValidationError as error:
            raise CursorUnreadable(
                f"The object {self.place} is no sensor's cursor ({error.errors()[0]['msg']}). Restore "
                "it, or delete it: the sensor then hands on every file of the landing place once more."
            ) from error

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
        body = cursor.model_dump_json().encode()
        try:
            if tag:
                return self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, IfMatch=tag)["ETag"]
            return self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, IfNoneMatch="*")["ETag"]
        except (BotoCoreError, ClientError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            if code in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise CursorMoved(f"Another sensor moved the cursor {self.place} first.") from error
            raise unavailable(self.bucket, error) from error


def fingerprint(file: LandedFile) -> str:
    """A version's short name, of FINGERPRINT characters."""
    named = f"{int(file.date.timestamp())} {len(file.etag)} {file.etag} {file.key}"
    digest = hashlib.blake2b(named.encode(), digest_size=9).digest()
    return urlsafe_b64encode(digest).decode()


def _age(file: LandedFile) -> tuple[datetime, str]:
    return file.date, file.key


def _minus(moment: datetime, delta: timedelta) -> datetime:
    return moment - delta if moment - BEGINNING > delta else BEGINNING

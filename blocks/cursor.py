"""Which file versions of the landing bucket were handed on, and which come next.

A version is `(key, etag)`. S3 dates it by the start of its upload, to the second, so a version that becomes visible
may be older than one already handed on; the cursor therefore remembers, by fingerprint, the versions of an overlap
window, and looks at nothing dated before the window's floor. It is never larger than what arrived in one window.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field, ValidationError

from blocks.batches import Accepted, Batch, Batches
from blocks.errors import PlatformError
from blocks.landing import BEGINNING, CURSORS, LandedFile, served_at, unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

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
        reconciled: when the last complete listing began that found nothing new; kept where events set off the sensor.
        generation: raised by a rewind.
    """

    floor: datetime = BEGINNING
    window: dict[int, str] = Field(default_factory=dict)
    reconciled: datetime = BEGINNING
    generation: int = 0

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
        known = self.known()
        new = (
            file
            for file in files
            if self.floor <= _date(file) and not (until and _date(file) > until) and fingerprint(file) not in known
        )
        return Batch.of(nsmallest(limit, new, key=_age), self.generation, reach)

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
        if batch.attempt > 1:
            return cursor
        window = dict(self.window)
        for file in batch.files:
            second = int(_date(file).timestamp())
            window[second] = window.get(second, "") + fingerprint(file)
        reach = min(batch.newest, batch.reach or batch.newest)
        return cursor.model_copy(update={"window": window}).raised(_minus(reach, overlap))

    def complete(self, reach: datetime, now: datetime, overlap: timedelta) -> Self:
        """The cursor once a listing that began at `now` found nothing new dated up to `reach`."""
        newest = datetime.fromtimestamp(max(self.window, default=0), UTC)
        return self.model_copy(update={"reconciled": now}).raised(_minus(min(newest, reach), overlap))

    def moved(self, floor: datetime, now: datetime) -> Self:
        """The cursor rewound, or skipped ahead: every version dated at the floor or later counts as new."""
        return self.model_copy(update={"floor": floor, "window": {}, "generation": int(now.timestamp())})

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
        self.now = BEGINNING

    def load(self) -> tuple[Cursor, str]:
        """The cursor and the tag to save it against; a new cursor and an empty tag where none was saved.

        Raises:
            LandingUnavailable: S3 does not answer.
            CursorUnreadable: the saved text is no cursor.
        """
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=self.key)
            self.now = served_at(answer)
            return Cursor.model_validate_json(answer["Body"].read()), answer["ETag"]
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchKey":
                self.now = served_at(error.response)
                return Cursor(), ""
            raise unavailable(self.bucket, error) from error
        except ValidationError as error:
            raise CursorUnreadable(
                f"The object s3://{self.bucket}/{self.key} is no sensor's cursor ({error.errors()[0]['msg']}). Restore "
                "it, or delete it: the sensor then hands on every file of the landing place once more."
            ) from error

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
                raise CursorMoved(f"Another sensor moved the cursor s3://{self.bucket}/{self.key} first.") from error
            raise unavailable(self.bucket, error) from error


def fingerprint(file: LandedFile) -> str:
    """A version's short name, of FINGERPRINT characters."""
    digest = hashlib.blake2b(f"{len(file.etag)} {file.etag} {file.key}".encode(), digest_size=9).digest()
    return urlsafe_b64encode(digest).decode()


def _date(file: LandedFile) -> datetime:
    return file.last_modified or BEGINNING


def _age(file: LandedFile) -> tuple[datetime, str]:
    return _date(file), file.key


def _minus(moment: datetime, delta: timedelta) -> datetime:
    return moment - delta if moment - BEGINNING > delta else BEGINNING

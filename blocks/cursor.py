"""Which file versions of the landing bucket were handed on, and which come next.

A version is `(key, etag)`. S3 dates it by the start of its upload, to the second, so a version that becomes visible
may be older than one already handed on; the cursor therefore remembers a high-water mark and, by name, the versions
of the overlap window before it. It is never larger than what arrived in one window.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, Field, ValidationError

from blocks.errors import PlatformError
from blocks.landing import LandedFile, unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BEGINNING = datetime.min.replace(tzinfo=UTC)


class CursorMoved(PlatformError):
    """Another sensor moved the cursor first; its batch is its own."""


class CursorUnreadable(PlatformError):
    """What is saved as the cursor is something else."""


class Batch(BaseModel):
    """Files that are handed on together, oldest first."""

    files: list[LandedFile] = Field(min_length=1)

    @property
    def idempotency_key(self) -> str:
        """The same for the same file versions, whoever hands them on, and however often."""
        versions = sorted((file.key, file.etag) for file in self.files)
        return hashlib.sha256(json.dumps(versions).encode()).hexdigest()


class Cursor(BaseModel):
    """How far the sensor has come.

    `high_water` is the newest date handed on; `window` the versions handed on that are dated inside the overlap before
    it; `pending` a batch that was claimed and perhaps not yet accepted: whoever comes next hands on that very batch.
    """

    high_water: datetime = BEGINNING
    window: list[LandedFile] = []
    pending: Batch | None = None

    def next_batch(self, listing: Iterable[LandedFile], overlap: timedelta, limit: int) -> Batch | None:
        """The oldest of the versions that were not handed on, `limit` at most."""
        floor = _minus(self.high_water, overlap)
        known = {(file.key, file.etag) for file in self.window}
        new = [file for file in listing if _date(file) >= floor and (file.key, file.etag) not in known]
        files = sorted(new, key=lambda file: (_date(file), file.key))[:limit]
        return Batch(files=files) if files else None

    def claimed(self, batch: Batch) -> "Cursor":
        """The cursor with a batch that is about to be handed on."""
        return self.model_copy(update={"pending": batch})

    def advanced(self, batch: Batch, overlap: timedelta) -> "Cursor":
        """The cursor once the batch was accepted."""
        high_water = max(self.high_water, *(_date(file) for file in batch.files))
        floor = _minus(high_water, overlap)
        return Cursor(
            high_water=high_water, window=[file for file in [*self.window, *batch.files] if _date(file) >= floor]
        )


class CursorStore:
    """Keeps a cursor in S3, beside the data but outside the prefix; saved by compare-and-swap.

    Each pair of prefix and pattern has a cursor of its own: a file that one pattern passes over is new to another.
    """

    def __init__(self, s3: "S3Client", bucket: str, prefix: str, pattern: str = "*") -> None:
        self.s3, self.bucket = s3, bucket
        self.key = f"_cursors/{quote(prefix, safe='')}/{quote(pattern, safe='*')}.json"

    def load(self) -> tuple[Cursor, str]:
        """The cursor and the tag to save it against; a new cursor and an empty tag where none was saved.

        Raises:
            LandingUnavailable: S3 does not answer.
            CursorUnreadable: the saved text is no cursor.
        """
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=self.key)
            return Cursor.model_validate_json(answer["Body"].read()), answer["ETag"]
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchKey":
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


def _date(file: LandedFile) -> datetime:
    return file.last_modified or BEGINNING


def _minus(moment: datetime, delta: timedelta) -> datetime:
    return moment - delta if moment - BEGINNING > delta else BEGINNING

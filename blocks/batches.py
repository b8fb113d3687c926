"""Batches of landed files, and how far each has come: claimed, accepted, failed, parked."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, Field

from blocks.errors import PlatformError
from blocks.landing import LandedFile

MOST_BYTES = 400_000
"""A Prefect server takes 512 KB of parameters a run (PREFECT_SERVER_API_MAX_PARAMETER_SIZE)."""

MOST_WAITING = 20
"""While so many batches wait for their next attempt, no new one is taken: the fault is not the files'."""

MOST_FILES = 50_000
"""Nor while they name so many files: the cursor, which every poll reads, holds their names."""


class FilesMissing(PlatformError):
    """Files of a batch brought no row to raw; everything else went through, and another attempt would end alike."""


class OthersFailed(PlatformError):
    """The sync failed, but not on the files of the batch: they are in raw, and in the tables."""


PUBLISHED = (OthersFailed.__name__, "StaleSource")
"""Names of the errors of a run whose own files are in the tables nevertheless; another attempt would add nothing."""


class Batch(BaseModel):
    """Files that are handed on together, oldest first.

    `attempt` counts from 1; `generation` is that of the cursor, so that files looked at again after a rewind are not
    taken for those of the run before it; `place` names the cursor, since two buckets may hold the same files; `reach`
    bounds how far the cursor may move once the batch is accepted.
    """

    files: list[LandedFile] = Field(min_length=1)
    attempt: int = 1
    generation: int = 0
    place: str = ""
    reach: AwareDatetime | None = None

    @classmethod
    def of(cls, files: list[LandedFile], **details: Any) -> Self | None:
        """As many of the files, from the first, as a run's parameters can name; None of none."""
        count, size = 0, 0
        for file in files:
            size += len(json.dumps(file.model_dump(mode="json")))
            if count and size > MOST_BYTES:
                break
            count += 1
        return cls(files=files[:count], **details) if count else None

    @property
    def id(self) -> str:
        """The same for the same file versions; what people call the batch."""
        return self._hash()[:12]

    @property
    def idempotency_key(self) -> str:
        """The same for the same attempt at the same file versions, whoever hands them on, and however often."""
        return f"{self._hash()}-{self.generation}-{self.attempt}"

    @property
    def newest(self) -> datetime:
        """The newest date of its files."""
        return max(file.date for file in self.files)

    def _hash(self) -> str:
        versions = sorted((file.key, file.etag, file.date.isoformat()) for file in self.files)
        return hashlib.sha256(json.dumps([self.place, versions]).encode()).hexdigest()


class Outcome(BaseModel):
    """How a run ended; `again` says whether another attempt is worth while."""

    well: bool
    again: bool = False
    reason: str = ""


class Accepted(BaseModel):
    """A batch whose run Prefect has accepted, and which has not been seen to end."""

    batch: Batch
    run_id: str


class Failed(BaseModel):
    """A batch whose run failed: tried again at `retry_at`; without that it is parked until a person releases it."""

    batch: Batch
    reason: str
    retry_at: AwareDatetime | None = None


class Batches(BaseModel):
    """The batches that are not done with, but for those that are parked: these are objects of their own.

    `pending` was claimed and perhaps not yet accepted: the next poll, of any sensor, hands on that very batch. If it
    was a released batch, `taken` is the key of its object. `released` says that there are such objects, `unshown` that
    the artifact of the failed batches is old.
    """

    pending: Batch | None = None
    taken: str = ""
    accepted: list[Accepted] = []
    failed: list[Failed] = []
    released: bool = False
    unshown: bool = False

    @property
    def parked(self) -> list[Failed]:
        """The batches that are about to be parked."""
        return [each for each in self.failed if each.retry_at is None]

    @property
    def full(self) -> bool:
        """Whether so many batches wait for their next attempt that no new one should be taken."""
        waiting = [each for each in self.failed if each.retry_at]
        return len(waiting) >= MOST_WAITING or sum(len(each.batch.files) for each in waiting) >= MOST_FILES

    def without_parked(self) -> Self:
        """Once the parked batches are kept elsewhere."""
        waiting = [each for each in self.failed if each.retry_at]
        return self.model_copy(update={"failed": waiting, "unshown": True})

    def knows(self, batch: Batch) -> bool:
        """Whether the batch is under way, or waits for its next attempt."""
        own = [each.batch for each in self.accepted] + [each.batch for each in self.failed]
        own += [self.pending] if self.pending else []
        return any((each.id, each.generation) == (batch.id, batch.generation) for each in own)

    def claimed(self, batch: Batch) -> Self:
        """Return the cursor with a batch that is about to be handed on, and no longer waits for its next attempt."""
        failed = [each for each in self.failed if each.batch.id != batch.id]
        unshown = self.unshown or failed != self.failed
        return self.model_copy(update={"pending": batch, "failed": failed, "unshown": unshown})

    def due(self, now: datetime) -> Batch | None:
        """The next attempt of a batch that failed, once its time has come."""
        return next((each.batch for each in self.failed if each.retry_at and each.retry_at <= now), None)

    def settled(self, outcomes: Mapping[str, Outcome], now: datetime, attempts: int, pause: timedelta) -> Self:
        """After some of the accepted runs, by id, have ended.

        A failed batch is tried again after `pause`, which doubles with each attempt; after `attempts` it is parked.
        """
        ended = [each for each in self.accepted if each.run_id in outcomes]
        tried = [_after(each.batch, outcomes[each.run_id], now, attempts, pause) for each in ended]
        failed = [each for each in tried if each]
        return self.model_copy(
            update={
                "accepted": [each for each in self.accepted if each not in ended],
                "failed": [*self.failed, *failed],
                "unshown": self.unshown or bool(failed),
            }
        )


def _after(batch: Batch, outcome: Outcome, now: datetime, attempts: int, pause: timedelta) -> Failed | None:
    if outcome.well:
        return None
    retry_at = now + pause * 2 ** (batch.attempt - 1) if outcome.again and batch.attempt < attempts else None
    following = batch.model_copy(update={"attempt": batch.attempt + 1})
    reason = own_first(outcome.reason, [file.key for file in batch.files])
    return Failed(batch=following, reason=reason, retry_at=retry_at)


def own_first(reason: str, keys: Sequence[str]) -> str:
    """Put what a reason says of these files before what it says of others, since a long reason is cut.

    Where several files are at fault, the mock Airbyte's message names each as `s3://BUCKET/KEY`, parted by `; `.
    """
    head, *faults = re.split(r"(?:(?<=failed: )|; )(?=s3://)", reason)
    faults.sort(key=lambda fault: not any(f"/{key}" in fault for key in keys))
    return head + "; ".join(faults)

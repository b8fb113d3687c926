"""Batches of landed files and their states: claimed, accepted, failed or parked."""

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
"""A Prefect server accepts 512 KB of parameters for each run (PREFECT_SERVER_API_MAX_PARAMETER_SIZE)."""

MOST_WAITING = 20
"""No new batch starts while this many batches wait for a retry: the files are then unlikely to be the cause."""

MOST_FILES = 50_000
"""No new batch starts while the waiting batches have this many files: every poll reads their names in the cursor."""


class FilesMissing(PlatformError):
    """Files of a batch brought no rows to raw. The other files are loaded, and a retry would give the same result."""


class OthersFailed(PlatformError):
    """The sync failed on files of another batch. This batch's files are in raw and in the tables."""


PUBLISHED = (OthersFailed.__name__, "StaleSource")
"""Names of the errors that end a run although its own files are published, so that a retry would add nothing."""


class Batch(BaseModel):
    """Files that one run processes, oldest first.

    Attributes:
        attempt: number of the attempt, from 1.
        generation: the cursor's generation. It tells a run after a rewind from the run before it.
        place: the cursor's URL, since two buckets may hold the same files.
        reach: upper limit for the cursor's floor, to which the overlap is applied, once the batch is accepted.
    """

    files: list[LandedFile] = Field(min_length=1)
    attempt: int = 1
    generation: int = 0
    place: str = ""
    reach: AwareDatetime | None = None

    @classmethod
    def of(cls, files: list[LandedFile], **details: Any) -> Self | None:
        """Create a batch of as many of the first files as a run's parameters can hold. Return None without files."""
        count, size = 0, 0
        for file in files:
            size += len(json.dumps(file.model_dump(mode="json")))
            if count and size > MOST_BYTES:
                break
            count += 1
        return cls(files=files[:count], **details) if count else None

    @property
    def id(self) -> str:
        """The batch's name for people. The same file versions always have the same id."""
        return self._hash()[:12]

    @property
    def idempotency_key(self) -> str:
        """Prefect's idempotency key: whichever sensor starts an attempt, and however often, Prefect runs it once."""
        return f"{self._hash()}-{self.generation}-{self.attempt}"

    @property
    def newest(self) -> datetime:
        """The newest date of its files."""
        return max(file.date for file in self.files)

    def _hash(self) -> str:
        versions = sorted((file.key, file.etag, file.date.isoformat()) for file in self.files)
        return hashlib.sha256(json.dumps([self.place, versions]).encode()).hexdigest()


class Outcome(BaseModel):
    """How a run ended. `again` says whether a retry may help."""

    well: bool
    again: bool = False
    reason: str = ""


class Accepted(BaseModel):
    """A batch whose run Prefect has accepted. The sensor has not yet seen it end."""

    batch: Batch
    run_id: str


class Failed(BaseModel):
    """A batch whose run failed. It is retried at `retry_at`, or parked until a person releases it if that is None."""

    batch: Batch
    reason: str
    retry_at: AwareDatetime | None = None


class Batches(BaseModel):
    """The unfinished batches. Parked batches are not here: each is an object of its own.

    Attributes:
        pending: the claimed batch. Its run may not have started, so the next poll of any sensor starts it.
        taken: key of the pending batch's object, if it is a released one.
        accepted: the batches whose runs Prefect has accepted.
        failed: the batches that wait for a retry, or are about to be parked.
        released: whether there are objects of released batches.
        unshown: whether the artifact with the failed batches is out of date.
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
        """Whether so many batches wait for a retry that no new one should start."""
        waiting = [each for each in self.failed if each.retry_at]
        return len(waiting) >= MOST_WAITING or sum(len(each.batch.files) for each in waiting) >= MOST_FILES

    def without_parked(self) -> Self:
        """Return a copy without the parked batches."""
        waiting = [each for each in self.failed if each.retry_at]
        return self.model_copy(update={"failed": waiting, "unshown": True})

    def contains(self, batch: Batch) -> bool:
        """Return whether the batch is running or waits for a retry."""
        own = [each.batch for each in self.accepted] + [each.batch for each in self.failed]
        own += [self.pending] if self.pending else []
        return any((each.id, each.generation) == (batch.id, batch.generation) for each in own)

    def claimed(self, batch: Batch) -> Self:
        """Return a copy that claims a batch: its run is about to start, and it no longer waits for a retry."""
        failed = [each for each in self.failed if each.batch.id != batch.id]
        unshown = self.unshown or failed != self.failed
        return self.model_copy(update={"pending": batch, "failed": failed, "unshown": unshown})

    def due(self, now: datetime) -> Batch | None:
        """Return a failed batch whose retry is due."""
        return next((each.batch for each in self.failed if each.retry_at and each.retry_at <= now), None)

    def settled(self, outcomes: Mapping[str, Outcome], now: datetime, attempts: int, pause: timedelta) -> Self:
        """Return a copy after some of the accepted runs have ended.

        A failed batch is retried after `pause`, which doubles with each attempt. After `attempts`, it is parked.

        Args:
            outcomes: how runs ended, by their ids.
            now: the current time.
            attempts: number of attempts before a batch is parked.
            pause: time until the first retry.
        """
        ended = [each for each in self.accepted if each.run_id in outcomes]
        results = [_failure(each.batch, outcomes[each.run_id], now, attempts, pause) for each in ended]
        failed = [each for each in results if each]
        return self.model_copy(
            update={
                "accepted": [each for each in self.accepted if each not in ended],
                "failed": [*self.failed, *failed],
                "unshown": self.unshown or bool(failed),
            }
        )


def _failure(batch: Batch, outcome: Outcome, now: datetime, attempts: int, pause: timedelta) -> Failed | None:
    if outcome.well:
        return None
    retry_at = now + pause * 2 ** (batch.attempt - 1) if outcome.again and batch.attempt < attempts else None
    following = batch.model_copy(update={"attempt": batch.attempt + 1})
    reason = own_first(outcome.reason, [file.key for file in batch.files])
    return Failed(batch=following, reason=reason, retry_at=retry_at)


def own_first(reason: str, keys: Sequence[str]) -> str:
    """Move the parts of a reason that are about these files to its front, since a long reason is cut off.

    The mock Airbyte's message names each failed file as `s3://BUCKET/KEY`, separated by `; `.
    """
    head, *faults = re.split(r"(?:(?<=failed: )|; )(?=s3://)", reason)
    faults.sort(key=lambda fault: not any(f"/{key}" in fault for key in keys))
    return head + "; ".join(faults)

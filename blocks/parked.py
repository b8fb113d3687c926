"""Parked batches, which wait for a person. Each is an object of its own, so that the cursor stays small."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from blocks.batches import Failed
from blocks.landing import CONCURRENT_REQUESTS, NOT_S3, LandedFile, objects, unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_REASON = 10_000
"""Maximum characters of a reason to keep."""


class ParkedStore:
    """One cursor's parked batches, and the released batches that the sensor has not claimed yet.

    Raises:
        blocks.landing.LandingUnavailable: from every method.
    """

    def __init__(self, s3: "S3Client", bucket: str, folder: str) -> None:
        self.s3, self.bucket = s3, bucket
        self.parked, self.released = f"{folder}.parked/", f"{folder}.released/"

    def park(self, failed: Failed) -> None:
        """Save a batch. If a crash parks it twice, the second object replaces the first."""
        kept = failed.model_copy(update={"reason": failed.reason[:MOST_REASON]})
        self._put(self.parked + _name(failed), kept)

    def parked_objects(self) -> list[LandedFile]:
        """Return the objects of all parked batches, newest first."""
        return sorted(objects(self.s3, self.bucket, self.parked), key=lambda each: each.date, reverse=True)

    def named(self, ids: Iterable[str]) -> list[Failed]:
        """Return the parked batches with these ids, or all if none is given. Unknown ids are ignored."""
        chosen = set(ids)
        keys = [each.key for each in self.parked_objects()]
        return self.read([key for key in keys if not chosen or key.removeprefix(self.parked)[:12] in chosen])

    def read(self, keys: list[str]) -> list[Failed]:
        """Read the batches in some objects, without those that another process has removed meanwhile."""
        with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
            return [each for each in pool.map(self._get, keys) if each]

    def check(self) -> None:
        """Delete an object that does not exist, to raise S3's error if deleting is not permitted."""
        self._delete(f"{self.released}none")

    def release(self, failed: Failed) -> None:
        """Save a batch for the sensor, which looks if the cursor is `released`. It stays parked until `forget`."""
        self._put(self.released + _name(failed), failed)

    def forget(self, failed: Failed) -> None:
        """Drop a parked batch."""
        self._delete(self.parked + _name(failed))

    def next_released(self) -> tuple[str, Failed] | None:
        """Return the first released batch and the key of its object; None if there is none."""
        for each in objects(self.s3, self.bucket, self.released):
            if failed := self._get(each.key):
                return each.key, failed
        return None

    def take(self, key: str) -> None:
        """Remove a released batch's object, after the cursor has claimed the batch."""
        self._delete(key)

    def _put(self, key: str, failed: Failed) -> None:
        try:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=failed.model_dump_json().encode())
        except NOT_S3 as error:
            raise unavailable(self.bucket, error) from error

    def _get(self, key: str) -> Failed | None:
        try:
            return Failed.model_validate_json(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except self.s3.exceptions.NoSuchKey:
            return None
        except NOT_S3 as error:
            raise unavailable(self.bucket, error) from error

    def _delete(self, key: str) -> None:
        try:
            self.s3.delete_object(Bucket=self.bucket, Key=key)
        except NOT_S3 as error:
            raise unavailable(self.bucket, error) from error


def _name(failed: Failed) -> str:
    return f"{failed.batch.id}-{failed.batch.generation}.json"

"""Batches that wait for a person: objects beside the cursor, so that the cursor stays small however many there are."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from blocks.batches import Failed
from blocks.landing import LOOKS_AT_ONCE, NOT_S3, LandedFile, objects, unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_REASON = 10_000
"""Characters of a reason that are kept."""


class ParkedStore:
    """The parked batches of one cursor, and those that a person has released and the sensor has not yet taken.

    Raises:
        blocks.landing.LandingUnavailable: by every method.
    """

    def __init__(self, s3: "S3Client", bucket: str, folder: str) -> None:
        self.s3, self.bucket = s3, bucket
        self.parked, self.released = f"{folder}.parked/", f"{folder}.released/"

    def park(self, failed: Failed) -> None:
        """Keep a batch; a batch that is parked again, after a crash, has the same name."""
        kept = failed.model_copy(update={"reason": failed.reason[:MOST_REASON]})
        self._put(self.parked + _name(failed), kept)

    def found(self) -> list[LandedFile]:
        """The objects of all parked batches, newest first."""
        return sorted(objects(self.s3, self.bucket, self.parked), key=lambda each: each.date, reverse=True)

    def named(self, ids: Iterable[str]) -> list[Failed]:
        """The parked batches with these ids, or all if none is given; an unknown id is left out."""
        chosen = set(ids)
        keys = [each.key for each in self.found()]
        return self.read([key for key in keys if not chosen or key.removeprefix(self.parked)[:12] in chosen])

    def read(self, keys: list[str]) -> list[Failed]:
        """The batches of some objects; one that another process has removed meanwhile is left out."""
        with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
            return [each for each in pool.map(self._get, keys) if each]

    def check(self) -> None:
        """Raise what S3 answers to a deletion, of nothing: without that permission no batch can leave its place."""
        self._delete(f"{self.released}none")

    def release(self, failed: Failed) -> None:
        """Have the sensor take a batch once its cursor says that some are released; it stays parked until `forget`."""
        self._put(self.released + _name(failed), failed)

    def forget(self, failed: Failed) -> None:
        """Be done with a parked batch."""
        self._delete(self.parked + _name(failed))

    def next_released(self) -> tuple[str, Failed] | None:
        """The first released batch, and the key of its object; None if there is none."""
        for each in objects(self.s3, self.bucket, self.released):
            if failed := self._get(each.key):
                return each.key, failed
        return None

    def take(self, key: str) -> None:
        """Remove a released batch's object: the cursor has claimed the batch."""
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

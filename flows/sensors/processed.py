"""The processed versions that have left the cursor's window, kept for as long as an event may name them.

S3 dates an object by the start of its upload. So an event can name a version that is dated before the cursor's floor.
Either it is new, because its upload took longer than the overlap, or it was processed long ago. These objects tell
which.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prefect.logging import get_logger

from blocks.landing import BEGINNING, NOT_S3, LandedFile, LandingUnavailable, objects, unavailable
from flows.sensors.versions import fingerprint, fingerprints

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RETENTION = timedelta(days=15)
"""SQS keeps a message for at most 14 days."""

CLEAN_EVERY = timedelta(hours=1)
"""Time between two deletions of older objects."""

MOST_CHARACTERS = 2_000_000
"""Maximum characters of fingerprints in one object; more only if they are of the same second."""


class ProcessedStore:
    """The fingerprints of one cursor's processed versions, in objects named by the dates of the versions.

    Raises:
        blocks.landing.LandingUnavailable: from every method.
    """

    def __init__(self, s3: "S3Client", bucket: str, folder: str) -> None:
        self.s3, self.bucket, self.folder = s3, bucket, f"{folder}.passed/"
        self._added = set[str]()
        self._cleaned = BEGINNING

    def add(self, window: Mapping[int, str], now: datetime) -> None:
        """Save fingerprints by the second of their date. Saving the same ones again writes the same objects."""
        for page in _pages(sorted(window.items())):
            body = json.dumps(page).encode()
            key = f"{self.folder}{page[0][0]}_{page[-1][0]}_{hashlib.sha256(body).hexdigest()[:16]}"
            if key not in self._added:
                try:
                    self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
                except NOT_S3 as error:
                    raise unavailable(self.bucket, error) from error
                self._added.add(key)
        if now - self._cleaned > CLEAN_EVERY:
            self._clean(now)

    def find(self, files: Iterable[LandedFile]) -> set[str]:
        """Return the fingerprints of the given files that are kept here."""
        wanted = {fingerprint(file): int(file.date.timestamp()) for file in files}
        found = set[str]()
        for each in objects(self.s3, self.bucket, self.folder):
            first, last, _ = each.key.removeprefix(self.folder).split("_")
            if any(int(first) <= second <= int(last) for second in wanted.values()):
                for _, text in self._read(each.key):
                    found |= wanted.keys() & fingerprints(text)
        return found

    def _read(self, key: str) -> list[tuple[int, str]]:
        try:
            page: list[tuple[int, str]] = json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except NOT_S3 as error:
            raise unavailable(self.bucket, error) from error
        return page

    def _clean(self, now: datetime) -> None:
        """Delete objects that no event can name any more. Log a warning if S3 does not permit it."""
        try:
            for each in list(objects(self.s3, self.bucket, self.folder)):
                if now - each.date > RETENTION:
                    self.s3.delete_object(Bucket=self.bucket, Key=each.key)
        except (*NOT_S3, LandingUnavailable) as error:
            get_logger("sensor").warning("Old objects below %s were not deleted: %s", self.folder, error)
        self._cleaned = now


def _pages(seconds: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    page, size = list[tuple[int, str]](), 0
    for second, text in seconds:
        if page and size + len(text) > MOST_CHARACTERS:
            yield page
            page, size = [], 0
        page.append((second, text))
        size += len(text)
    if page:
        yield page

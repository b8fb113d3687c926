"""The landing bucket: where files arrive in S3."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import parse_timestamp
from pydantic import BaseModel, Field

from blocks.errors import PlatformError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


BEGINNING = datetime.min.replace(tzinfo=UTC)
LOOKS_AT_ONCE = 10


CURSORS = "_cursors/"
"""Where in the bucket sensors keep their cursors."""


class LandingUnavailable(PlatformError):
    """S3 does not answer, or refuses."""


@dataclass(frozen=True)
class AwsAccess:
    """Where AWS, or what stands in for it, is asked and as whom; what is empty comes by AWS's usual chain."""

    endpoint_url: str = ""
    region: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    def session(self) -> boto3.Session:
        """A session of its own."""
        session = botocore.session.get_session()
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_date)
        return boto3.Session(
            botocore_session=session,
            region_name=self.region or None,
            aws_access_key_id=self.access_key_id or None,
            aws_secret_access_key=self.secret_access_key or None,
            aws_session_token=self.session_token or None,
        )


class LandedFile(BaseModel):
    """One version of one object: `key` within the bucket, `etag` without quotes, `size` in bytes.

    S3 dates an object by the start of its upload, to the second.
    """

    key: str = Field(description="the object's key, e.g. inbound/flights/flights-2013-01-31.csv.gz")
    etag: str = Field("", description="the version's ETag, without quotes")
    size: int = Field(0, description="bytes")
    last_modified: datetime | None = Field(None, description="as S3 dates the object")

    @property
    def date(self) -> datetime:
        """As S3 dates the object, to the second: some servers tell a fraction of it in a listing, and not by HEAD."""
        return (self.last_modified or BEGINNING).replace(microsecond=0)


def s3_client(bucket: str, access: AwsAccess) -> "S3Client":
    """An S3 client for the landing bucket.

    Raises:
        LandingUnavailable: the endpoint is no URL, or AWS's own configuration cannot be read.
    """
    config = Config(retries={"max_attempts": 5, "mode": "standard"}, connect_timeout=5, read_timeout=60)
    try:
        return access.session().client("s3", endpoint_url=access.endpoint_url or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise unavailable(bucket, error) from error


def watched(key: str, prefix: str, pattern: str) -> bool:
    """Whether a key is a file's, lies below a prefix, and matches a glob without it; a sensor's cursor is no file."""
    if not key or key.endswith("/") or key.startswith(CURSORS):
        return False
    return key.startswith(prefix) and fnmatchcase(key.removeprefix(prefix), pattern)


def listing(
    s3: "S3Client", bucket: str, prefix: str, pattern: str = "*", since: datetime = BEGINNING, after: str = ""
) -> Iterator[LandedFile]:
    """The files below a prefix that match a pattern, are dated at `since` or later, and whose keys come after `after`.

    They come in the order of keys; one S3 page is in memory at a time.

    Raises:
        LandingUnavailable: S3 does not answer, or the bucket is not there or not ours to list.
    """
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=after):
            for item in page.get("Contents", []):
                if item["LastModified"] >= since and watched(item["Key"], prefix, pattern):
                    yield _file(item["Key"], item["Size"], item)
    except (BotoCoreError, ClientError) as error:
        raise unavailable(bucket, error) from error


def look_up(
    s3: "S3Client", bucket: str, keys: Iterable[str]
) -> list[tuple[str, LandedFile | LandingUnavailable | None]]:
    """Each key with its file as it is now, None where it is not there, or why S3 does not show it.

    Some requests are made at a time; that S3 refuses one says nothing of the others.
    """
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        return list(pool.map(lambda key: (key, _look_up(s3, bucket, key)), keys))


def served_at(answer: Mapping[str, Any]) -> datetime:
    """When S3 answered, by its own clock: the one that dates objects."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date) if date else datetime.now(UTC)


def unavailable(bucket: str, error: Exception) -> LandingUnavailable:
    """S3's error in words: which bucket, and what to check."""
    return LandingUnavailable(
        f"The landing bucket s3://{bucket} cannot be used: {error}. Check S3_BUCKET, S3_ENDPOINT_URL (empty means AWS) "
        "and the AWS credentials; `make dev` starts an S3 of its own."
    )


def _parse_date(text: str) -> datetime:
    """What boto3 does itself, without guessing at the form first: of a listing's time that is more than half."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parse_timestamp(text)


def _look_up(s3: "S3Client", bucket: str, key: str) -> LandedFile | LandingUnavailable | None:
    try:
        answer = s3.head_object(Bucket=bucket, Key=key)
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return None
        return unavailable(bucket, error)
    return _file(key, answer["ContentLength"], answer)


def _file(key: str, size: int, answer: Mapping[str, Any]) -> LandedFile:
    return LandedFile(key=key, etag=answer["ETag"].strip('"'), size=size, last_modified=answer["LastModified"])

"""The landing bucket: where files arrive in S3."""

from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, Field

from blocks.errors import PlatformError
from blocks.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class LandingUnavailable(PlatformError):
    """S3 does not answer, or refuses."""


class LandedFile(BaseModel):
    """One version of one object: `key` within the bucket, `etag` without quotes, `size` in bytes.

    S3 dates an object by the start of its upload, to the second.
    """

    key: str = Field(description="the object's key, e.g. inbound/flights/flights-2013-01-31.csv.gz")
    etag: str = Field("", description="the version's ETag, without quotes")
    size: int = Field(0, description="bytes")
    last_modified: datetime | None = Field(None, description="as S3 dates the object")


def s3_client(settings: Settings) -> "S3Client":
    """An S3 client for the landing bucket; credentials come by AWS's usual chain.

    Raises:
        LandingUnavailable: the endpoint is no URL, or AWS's own configuration cannot be read.
    """
    config = Config(retries={"max_attempts": 5, "mode": "standard"}, connect_timeout=5, read_timeout=60)
    try:
        return boto3.client("s3", endpoint_url=settings.s3_endpoint_url or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise unavailable(settings.s3_bucket, error) from error


def listing(s3: "S3Client", bucket: str, prefix: str, pattern: str = "*") -> Iterator[LandedFile]:
    """The files below a prefix whose key, without it, matches a glob; one S3 page in memory at a time.

    Raises:
        LandingUnavailable: S3 does not answer, or the bucket is not there or not ours to list.
    """
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                if not item["Key"].endswith("/") and fnmatchcase(item["Key"].removeprefix(prefix), pattern):
                    yield LandedFile(
                        key=item["Key"],
                        etag=item["ETag"].strip('"'),
                        size=item["Size"],
                        last_modified=item["LastModified"],
                    )
    except (BotoCoreError, ClientError) as error:
        raise unavailable(bucket, error) from error


def unavailable(bucket: str, error: Exception) -> LandingUnavailable:
    """S3's error in words: which bucket, and what to check."""
    return LandingUnavailable(
        f"The landing bucket s3://{bucket} cannot be used: {error}. Check S3_BUCKET, S3_ENDPOINT_URL (empty means AWS) "
        "and the AWS credentials; `make dev` starts an S3 of its own."
    )

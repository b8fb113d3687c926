"""Upload standard input to the landing bucket: `python -m blocks.land KEY [PROFILE [BYTES]] < FILE`."""

import hashlib
import json
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from blocks.connections import Connections
from blocks.errors import PlatformError
from blocks.landing import NOT_S3, listing, unavailable
from blocks.systems import S3Landing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART = 32 * 1024 * 1024
"""Bytes of one part, and of the memory used. S3 accepts 10,000 parts, so a file may have up to 335 GB."""


class Truncated(PlatformError):
    """Standard input ended before the file did."""


def land(
    key: str, body: IO[bytes], landing: S3Landing, size: int | None = None, part: int = PART
) -> dict[str, str | bool]:
    """Upload an object unless it is there already; return its key, its ETag without quotes, and whether it is new.

    Uploading the same content again would change its date, so the sensor would run the pipeline for nothing. A file
    that is larger than a part is read once and uploaded in parts. The last step is skipped if the file is not new.

    Args:
        key: the object's key.
        body: the content, which is read to its end.
        landing: the landing bucket.
        size: the content's size in bytes, if known. Content of another size is not uploaded.
        part: bytes in memory at a time.

    Raises:
        blocks.landing.LandingUnavailable: S3 does not answer, or denies the upload.
        Truncated: the content has another size than `size`.
    """
    s3, bucket = landing.get_client(), landing.bucket
    before = {file.etag for file in listing(s3, bucket, key) if file.key == key}
    first = body.read(part)
    try:
        if len(first) < part:
            _check(key, len(first), size)
            etag = _put(s3, bucket, key, first, before)
        else:
            etag = _upload(s3, bucket, key, first, body, before, size)
    except NOT_S3 as error:
        raise unavailable(bucket, error) from error
    return {"key": key, "etag": etag, "new": etag not in before}


def _put(s3: "S3Client", bucket: str, key: str, content: bytes, before: set[str]) -> str:
    plain = hashlib.md5(content, usedforsecurity=False).hexdigest()  # S3's ETag, except for objects with a KMS key
    if plain in before:
        return plain
    return s3.put_object(Bucket=bucket, Key=key, Body=content)["ETag"].strip('"')


def _upload(
    s3: "S3Client", bucket: str, key: str, first: bytes, body: IO[bytes], before: set[str], size: int | None
) -> str:
    """Upload in parts. The object appears in the last step, which is skipped if the content is not new."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    try:
        parts: list[CompletedPartTypeDef] = []
        whole, of_parts = hashlib.md5(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
        count, content = 0, first
        while content:
            whole.update(content)
            of_parts.update(hashlib.md5(content, usedforsecurity=False).digest())
            number = len(parts) + 1
            answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=content)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            count += len(content)
            content = body.read(len(first))
        _check(key, count, size)
        for known in (whole.hexdigest(), f"{of_parts.hexdigest()}-{len(parts)}"):
            if known in before:
                s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
                return known
        done = s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
        return done["ETag"].strip('"')
    except BaseException:
        with suppress(*NOT_S3):
            s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        raise


def _check(key: str, count: int, size: int | None) -> None:
    if size is not None and count != size:
        raise Truncated(f"{key} was not uploaded: only {count:,} of {size:,} bytes arrived. Run the command again.")


def main(key: str, profile: str = "", size: str | None = None) -> None:
    """Upload standard input, and print the result of `land` as JSON. Without a profile, use the environment."""
    try:
        landing = Connections(profile).landing
        print(json.dumps(land(key, sys.stdin.buffer, landing, int(size) if size else None)))
    except PlatformError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])

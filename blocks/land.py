"""Puts standard input into the landing bucket: `python -m blocks.land KEY [PROFILE] < FILE`."""

import hashlib
import json
import sys

from botocore.exceptions import BotoCoreError, ClientError

from blocks import connections
from blocks.errors import PlatformError
from blocks.landing import listing, unavailable


def land(key: str, body: bytes, landing: connections.S3Landing) -> dict[str, str | bool]:
    """Put an object, unless it is there already; return its key, its ETag without quotes, and whether it is new.

    To put the same content again would date it anew, and so have the sensor run the pipeline for nothing.

    Raises:
        blocks.landing.LandingUnavailable: S3 does not answer, or refuses.
    """
    s3 = landing.get_client()
    before = {file.etag for file in listing(s3, landing.bucket, key) if file.key == key}
    plain = hashlib.md5(body, usedforsecurity=False).hexdigest()  # S3's ETag, but for objects with a KMS key
    if plain in before:
        return {"key": key, "etag": plain, "new": False}
    try:
        etag = s3.put_object(Bucket=landing.bucket, Key=key, Body=body)["ETag"].strip('"')
    except (BotoCoreError, ClientError) as error:
        raise unavailable(landing.bucket, error) from error
    return {"key": key, "etag": etag, "new": etag not in before}


def main(key: str, profile: str | None = None) -> None:
    """Land it; what was landed is printed as JSON."""
    try:
        print(json.dumps(land(key, sys.stdin.buffer.read(), connections.landing(profile))))
    except PlatformError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])

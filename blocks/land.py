"""Puts standard input into the landing bucket: `python -m blocks.land KEY < FILE`."""

import json
import sys

from botocore.exceptions import BotoCoreError, ClientError

from blocks.errors import PlatformError
from blocks.landing import listing, s3_client, unavailable
from blocks.settings import Settings


def land(key: str, body: bytes, settings: Settings) -> dict[str, str | bool]:
    """Put an object; return its key, its ETag without quotes, and whether this is another version than before.

    Raises:
        blocks.landing.LandingUnavailable: S3 does not answer, or refuses.
    """
    s3 = s3_client(settings)
    before = {file.etag for file in listing(s3, settings.s3_bucket, key) if file.key == key}
    try:
        etag = s3.put_object(Bucket=settings.s3_bucket, Key=key, Body=body)["ETag"].strip('"')
    except (BotoCoreError, ClientError) as error:
        raise unavailable(settings.s3_bucket, error) from error
    return {"key": key, "etag": etag, "new": etag not in before}


def main(key: str) -> None:
    """Land it; what was landed is printed as JSON."""
    try:
        print(json.dumps(land(key, sys.stdin.buffer.read(), Settings())))
    except PlatformError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1])

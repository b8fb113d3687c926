"""The source's side: which object versions there are, and one of them as a plain local file."""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from os.path import commonprefix
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import boto3
from botocore.config import Config
from isal import igzip, igzip_lib
from wcmatch.glob import GLOBSTAR, SPLIT, globmatch

from services.airbyte.formats import SUFFIXES
from services.airbyte.formats.model import BadFile
from services.airbyte.protocol import S3Access

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CHUNK = 1 << 20
# The library's stub gives an instance where it has the class.
BROKEN_GZIP = cast(type[Exception], igzip_lib.IsalError)


@dataclass(frozen=True)
class ObjectVersion:
    """`size` is in bytes, as stored."""

    key: str
    etag: str
    last_modified: datetime
    size: int


@dataclass(frozen=True)
class Download:
    """A local file. `fractions`: some number in it may have a fractional part (a "." or a negative exponent)."""

    version: ObjectVersion
    path: Path
    fractions: bool


@lru_cache(maxsize=1)
def connect(access: S3Access) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=access.endpoint_url,
        region_name=access.region,
        aws_access_key_id=access.access_key_id,
        aws_secret_access_key=access.secret_access_key,
        config=Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=60),
    )


def warm_up() -> None:
    """Have boto3 load what every client needs: most of a client's cost, and the same for all of them."""
    connect(S3Access(None, "us-east-1", "none", "none"))


def list_versions(client: "S3Client", bucket: str, prefix: str, globs: list[str]) -> Iterator[ObjectVersion]:
    """The files below `prefix` that fit one of `globs` and that the loader can read, oldest first."""
    # Characters, not path parts, are what S3 lists by.
    literal = commonprefix([re.split(r"[*?\[!\\]", part)[0] for glob in globs for part in glob.split("|")])  # noqa: RUF071
    found = [
        ObjectVersion(item["Key"], item["ETag"], item["LastModified"], item["Size"])
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + literal)
        for item in page.get("Contents", [])
        if item["Key"].lower().endswith(SUFFIXES)
        and globmatch(item["Key"].removeprefix(prefix), globs, flags=GLOBSTAR | SPLIT)
    ]
    yield from sorted(found, key=lambda version: (version.last_modified, version.key))


def download(client: "S3Client", bucket: str, key: str, target: Path) -> Download:
    """Write the object's newest version to `target`, decompressed; say which version it was."""
    answer = client.get_object(Bucket=bucket, Key=key)
    version = ObjectVersion(key, answer["ETag"], answer["LastModified"], answer["ContentLength"])
    body = cast(IO[bytes], answer["Body"])
    with target.open("wb") as out:
        if not key.lower().endswith(".gz") or version.size == 0:
            return Download(version, target, _write(body, out))
        try:
            return Download(version, target, _write(_decompressed(body), out))
        except gzip.BadGzipFile as error:
            raise BadFile(f"not a gzip file: {error}") from None
        except (EOFError, BROKEN_GZIP) as error:
            raise BadFile(f"the gzip data is broken: {error}") from None


def _decompressed(body: IO[bytes]) -> IO[bytes]:
    opened: IO[bytes] = igzip.open(body)  # type: ignore[no-untyped-call]
    return opened


def _write(data: IO[bytes], out: IO[bytes]) -> bool:
    fractions, end = False, b""
    while chunk := data.read(CHUNK):
        out.write(chunk)
        if not fractions:
            seen = end + chunk
            fractions = b"." in seen or b"e-" in seen or b"E-" in seen
            end = chunk[-1:]
    return fractions

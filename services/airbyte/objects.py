"""The source's side: which object versions there are, and one of them as a plain local file."""

import gzip
import re
from codecs import BOM_UTF8
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

from services.airbyte.formats import SUFFIXES, format_of
from services.airbyte.formats.model import BadFile, Limits, TooLarge, size
from services.airbyte.formats.settings import Format, JsonlFormat
from services.airbyte.formats.survey import Survey
from services.airbyte.protocol import S3Access

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

RATIO_COUNTS_FROM = 100 * 10**6
"""Bytes up to which a gzip file may grow by any ratio: small files of one repeated row are no danger."""
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
    """A local file, and what was learnt while it was written."""

    version: ObjectVersion
    path: Path
    survey: Survey


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


def list_versions(
    client: "S3Client", bucket: str, prefix: str, globs: list[str], chosen: Format | None
) -> Iterator[ObjectVersion]:
    """The files below `prefix` that fit one of `globs`, oldest first; without a format those of a known suffix."""
    # Characters, not path parts, are what S3 lists by.
    literal = commonprefix([re.split(r"[*?\[!\\]", part)[0] for glob in globs for part in glob.split("|")])  # noqa: RUF071
    found = [
        ObjectVersion(item["Key"], item["ETag"], item["LastModified"], item["Size"])
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + literal)
        for item in page.get("Contents", [])
        if _is_file(item["Key"], chosen) and globmatch(item["Key"].removeprefix(prefix), globs, flags=GLOBSTAR | SPLIT)
    ]
    yield from sorted(found, key=lambda version: (version.last_modified, version.key))


def _is_file(key: str, chosen: Format | None) -> bool:
    return not key.endswith("/") if chosen else key.lower().endswith(SUFFIXES)


def download(
    client: "S3Client", bucket: str, key: str, target: Path, limits: Limits, chosen: Format | None
) -> Download:
    """Write the object's newest version to `target`, decompressed; say which version it was.

    Raises:
        BadFile: it is not what its suffix says, or exceeds a limit; nothing of it is left on the disk.
    """
    answer = client.get_object(Bucket=bucket, Key=key)
    version = ObjectVersion(key, answer["ETag"], answer["LastModified"], answer["ContentLength"])
    found = format_of(key, chosen)
    body = cast(IO[bytes], answer["Body"])
    try:
        with target.open("wb") as out:
            if not key.lower().endswith(".gz") or version.size == 0:
                _check_size(version.size, limits)
                return Download(version, target, _write(body, out, version, limits, found))
            return Download(version, target, _write(_decompressed(body), out, version, limits, found))
    except BadFile:
        target.unlink()
        raise
    except gzip.BadGzipFile as error:
        raise BadFile(f"not a gzip file: {error}") from None
    except (EOFError, BROKEN_GZIP) as error:
        raise BadFile(f"the gzip data is broken: {error}") from None


def _decompressed(body: IO[bytes]) -> IO[bytes]:
    opened: IO[bytes] = igzip.open(body)  # type: ignore[no-untyped-call]
    return opened


def _write(data: IO[bytes], out: IO[bytes], version: ObjectVersion, limits: Limits, found: Format | None) -> Survey:
    survey, written = Survey(limits, quotes=found is None), 0
    text = found is None or isinstance(found, JsonlFormat)
    while piece := data.read(survey.piece):
        if piece.endswith(b"\r"):
            piece += data.read(1)
        written += len(piece)
        _check_size(written, limits)
        if written > max(RATIO_COUNTS_FROM, version.size * limits.gzip_ratio):
            grown = f"its {size(version.size)} grow to more than {size(written)}"
            raise TooLarge(f"{grown} when decompressed, over {limits.gzip_ratio} times as much", "MAX_GZIP_RATIO")
        if text:
            piece = piece if out.tell() else piece.removeprefix(BOM_UTF8)
            survey.feed(piece)
        out.write(piece)
    return survey


def _check_size(count: int, limits: Limits) -> None:
    if count > limits.file_bytes:
        raise TooLarge(f"it is larger than {size(limits.file_bytes)}, counted decompressed", "MAX_FILE_SIZE")

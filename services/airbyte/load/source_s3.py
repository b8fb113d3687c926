"""The S3 side of a source: list object versions, and download one as a plain local file."""

import re
import zipfile
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from os.path import commonprefix
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from wcmatch.glob import DOTGLOB, GLOBSTAR, SPLIT, globmatch

from services.airbyte.formats import format_of, suffixes
from services.airbyte.formats.model import BadFile, Limits, TooLarge, size
from services.airbyte.formats.settings import Format, JsonlFormat
from services.airbyte.formats.survey import Survey
from services.airbyte.load import compression
from services.airbyte.protocol import S3Access

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

T = TypeVar("T")
R = TypeVar("R")
Data = compression.Decompressed | IO[bytes]
RATIO_COUNTS_FROM = 100 * 10**6
"""The compression ratio is checked only above this size in bytes. A small file of repeated rows is harmless."""


@dataclass(frozen=True)
class ObjectVersion:
    """`size` is the stored size in bytes. `member` is a file in a zip archive of `archive_size`; `key` names both."""

    object_key: str
    etag: str
    last_modified: datetime
    size: int
    member: str | None = None
    archive_size: int = 0

    @property
    def key(self) -> str:
        return f"{self.object_key}#{self.member}" if self.member else self.object_key


@dataclass(frozen=True)
class Download:
    """A local file, and what was measured while it was written."""

    version: ObjectVersion
    path: Path
    survey: Survey


class NotS3(BotoCoreError):
    """The server that answered successfully is not S3."""

    fmt = "the answer to {operation} has no {missing}; it may be from a proxy"


REQUIRED = {"GetObject": "ETag", "ListObjectsV2": "IsTruncated"}
"""A field that each answer of S3 has. boto3 reads any page with status 200 as an empty bucket."""


@lru_cache(maxsize=1)
def connect(access: S3Access) -> "S3Client":
    client = boto3.client(
        "s3",
        endpoint_url=access.endpoint_url,
        region_name=access.region,
        aws_access_key_id=access.access_key_id,
        aws_secret_access_key=access.secret_access_key,
        aws_session_token=access.session_token,
        config=Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=60),
    )
    client.meta.events.register("after-call", _check_answer)
    return client


def _check_answer(model: Any, parsed: Mapping[str, Any], **_: Any) -> None:
    missing = REQUIRED.get(model.name)
    if missing and missing not in parsed and parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
        raise NotS3(operation=model.name, missing=missing)


def warm_up() -> None:
    """Create a first client, so that boto3 loads its data files. That takes most of the time, but only once."""
    connect(S3Access(None, "us-east-1", "none", "none"))


def list_versions(
    client: "S3Client",
    bucket: str,
    prefix: str,
    globs: list[str],
    chosen: Format | None,
    ignored: Callable[[ObjectVersion, str], None] = lambda *_: None,
) -> Iterator[ObjectVersion]:
    """Yield the files below `prefix` that match one of `globs`, oldest first.

    `ignored` is called with each matching object that is not a file of the stream, and with the reason.
    """
    # S3 lists by a prefix of characters, not of path parts.
    literal = commonprefix([re.split(r"[*?\[!\\]", part)[0] for glob in globs for part in glob.split("|")])  # noqa: RUF071
    matching = [
        version
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + literal)
        for item in page.get("Contents", [])
        for version in _files(
            client, bucket, ObjectVersion(item["Key"], item["ETag"], item["LastModified"], item["Size"])
        )
        if globmatch(_without_dots(version.key.removeprefix(prefix)), globs, flags=GLOBSTAR | SPLIT | DOTGLOB)
    ]
    for version in sorted(matching, key=lambda version: (version.last_modified, version.key)):
        hidden = not globmatch(_without_dots(version.key.removeprefix(prefix)), globs, flags=GLOBSTAR | SPLIT)
        if reason := "it is hidden: a part of its key begins with a dot" if hidden else why_ignored(version, chosen):
            ignored(version, reason)
        else:
            yield version


def _without_dots(name: str) -> str:
    """Return the name without `.` and `..`, which globs do not match. They have no meaning in a key or an archive."""
    return re.sub(r"(?<![^/#])\.{1,2}/", "", name)


def _files(client: "S3Client", bucket: str, stored: ObjectVersion) -> Iterator[ObjectVersion]:
    """Yield the object itself, or the files in a zip archive. A broken archive is yielded itself."""
    if not suffixes.is_archive(stored.key):
        yield stored
        return
    try:
        with _open_archive(client, bucket, stored) as opened:
            for each in compression.files_in(opened):
                yield replace(stored, member=each.filename, size=each.compress_size, archive_size=stored.size)
    except BadFile:
        yield stored


def _open_archive(client: "S3Client", bucket: str, stored: ObjectVersion) -> zipfile.ZipFile:
    size_ = stored.archive_size or stored.size
    return compression.open_archive(compression.StoredObject(client, bucket, stored.object_key, stored.etag, size_))


def why_ignored(version: ObjectVersion, chosen: Format | None) -> str:
    """Return why an object is not a file of the stream, or "" if it is one. Without `chosen`, the suffix decides."""
    name = version.key.rpartition("/")[2]
    if not name:
        return "it is a folder, not a file"
    if not version.member and suffixes.is_archive(version.key):
        return ""  # a broken archive, which fails when it is loaded
    if suffixes.plain(name).endswith(suffixes.FORMATS):
        return ""
    if name.startswith(("_", ".")):
        return "its name begins with _ or ., like markers and hidden files"
    if chosen:
        return ""
    suffix = f"the suffix .{name.rpartition('.')[2]}" if "." in name else "no suffix"
    known = f"{', '.join(suffixes.FORMATS)}, alone or followed by {', '.join(suffixes.COMPRESSIONS)}, or .zip"
    return f"it has {suffix}, but the stream reads {known}. Rename it, or set the stream's format"


def download(
    client: "S3Client", bucket: str, listed: ObjectVersion, target: Path, limits: Limits, chosen: Format | None
) -> Download:
    """Download the newest version of a file to `target` and decompress it; return which version it was.

    Raises:
        BadFile: the file does not match its suffix, or exceeds a limit. Nothing is left on the disk.
    """
    found = format_of(listed.key, chosen)
    try:
        with target.open("wb") as out, _open_version(client, bucket, listed, limits) as (version, data):
            return Download(version, target, _write(data, out, version, limits, found))
    except BadFile:
        target.unlink()
        raise


def from_disk(key: str, path: Path, target: Path, limits: Limits, chosen: Format | None) -> Download:
    """Decompress a local file to `target`, as `download` does with an object that has this key.

    Raises:
        BadFile: the file is a zip archive, does not match its suffix, or exceeds a limit.
    """
    if suffixes.is_archive(key):
        raise BadFile("it is a zip archive. Unzip it, and add the file that is in it")
    with path.open("rb") as data, target.open("wb") as out:
        stat, kind = path.stat(), suffixes.compression(key)
        version = ObjectVersion(key, "", datetime.fromtimestamp(stat.st_mtime, UTC), stat.st_size)
        plain: Data = compression.decompress(kind, data) if kind and stat.st_size else data
        return Download(version, target, _write(plain, out, version, limits, format_of(key, chosen)))


def copy_before_line(file: Download, line: int, limits: Limits, chosen: Format | None) -> Download:
    """Copy the lines of a text file before `line` to a new file."""
    part = file.path.with_suffix(".before")
    survey = Survey(limits, quotes=format_of(file.version.key, chosen) is None)
    with file.path.open("rb") as whole, part.open("wb") as out:
        for piece in islice(whole, line - 1):
            survey.feed(piece)
            out.write(piece)
    return replace(file, path=part, survey=survey)


@contextmanager
def _open_version(
    client: "S3Client", bucket: str, listed: ObjectVersion, limits: Limits
) -> Iterator[tuple[ObjectVersion, Data]]:
    """Yield the newest version of an object and its decompressed data; of a file in an archive, the listed version."""
    kind = suffixes.compression(listed.key)
    if listed.member or suffixes.is_archive(listed.key):
        with _open_archive(client, bucket, listed) as opened:
            data: Data = compression.open_member(opened, listed.member or "")
            yield listed, compression.decompress(kind, cast(IO[bytes], data)) if kind else data
        return
    answer = client.get_object(Bucket=bucket, Key=listed.key)
    version = ObjectVersion(listed.key, answer["ETag"], answer["LastModified"], answer["ContentLength"])
    if not kind:
        _check_size(version.size, limits)
    body = cast(IO[bytes], answer["Body"])
    yield version, compression.decompress(kind, body) if kind and version.size else body


def _write(data: Data, out: IO[bytes], version: ObjectVersion, limits: Limits, found: Format | None) -> Survey:
    survey, written = Survey(limits, quotes=found is None), 0
    text = found is None or isinstance(found, JsonlFormat)
    while piece := data.read(survey.piece):
        if piece.endswith(b"\r"):
            piece += data.read(1)
        written += len(piece)
        _check_size(written, limits)
        if written > max(RATIO_COUNTS_FROM, version.size * limits.gzip_ratio):
            growth = f"its {size(version.size)} decompress to more than {size(written)}"
            raise TooLarge(f"{growth}, which is over {limits.gzip_ratio} times as much", "MAX_GZIP_RATIO")
        if text:
            piece = piece if out.tell() else piece.removeprefix(BOM_UTF8)
            survey.feed(piece)
        out.write(piece)
    return survey


def _check_size(count: int, limits: Limits) -> None:
    if count > limits.file_bytes:
        raise TooLarge(f"its decompressed size is more than {size(limits.file_bytes)}", "MAX_FILE_SIZE")


def prefetch(do: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, "Future[R]"]]:
    """Yield each item with the future of `do(item)`, which runs for the next item while the caller handles this one.

    So the next file is downloaded while the current one is loaded.
    """
    previous: tuple[T, Future[R]] | None = None
    with ThreadPoolExecutor(1) as pool:
        for item in items:
            current = (item, pool.submit(do, item))
            if previous:
                yield previous
            previous = current
        if previous:
            yield previous

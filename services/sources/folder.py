"""A folder of the landing bucket as a source: its files are there already."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from blocks.errors import PlatformError
from blocks.landing import NOT_S3, LandedFile, listing, not_data, unavailable
from blocks.systems import S3Landing


class FolderRefused(PlatformError):
    """The folder cannot become a source as it is; the text says what to do."""


@dataclass(frozen=True)
class Folder:
    """Objects below a prefix, oldest first; `name` is the folder's own."""

    name: str
    prefix: str
    files: list[LandedFile]

    def globs(self, name: str, root: str) -> list[str]:
        """Which of the source's files belong to the stream of this name; none where they are in its own folder."""
        return [] if self.prefix == f"{root}{name}/" else [f"{self.prefix.removeprefix(root)}**"]


def is_url(file: str) -> bool:
    """Whether a person means a place in S3."""
    return file.startswith("s3://")


def folder_of(url: str, landing: S3Landing) -> Folder:
    """List a folder.

    Args:
        url: s3://bucket/prefix/ with or without the last slash.
        landing: the bucket that the platform reads, and the prefix below which its source does.

    Raises:
        FolderRefused: it is elsewhere, or holds no file of data.
        blocks.landing.LandingUnavailable: S3 does not answer.
    """
    parts = urlsplit(url)
    prefix = f"{parts.path.strip('/')}/"
    if parts.netloc != landing.bucket or not prefix.startswith(landing.prefix) or prefix == landing.prefix:
        raise FolderRefused(
            f"{url} is not a folder below s3://{landing.bucket}/{landing.prefix}, which Airbyte's source reads. "
            "Copy the files there, or give a folder there."
        )
    try:
        found = [file for file in listing(landing.get_client(), landing.bucket, prefix) if file.key != prefix]
    except NOT_S3 as error:
        raise unavailable(landing.bucket, error) from error
    files = sorted((file for file in found if not not_data(file)), key=lambda file: (file.date, file.key))
    if not files:
        raise FolderRefused(f"{url} holds no file. Upload one, or correct the folder's name.")
    return Folder(prefix.rstrip("/").rpartition("/")[2], prefix, files)


def fetch(file: LandedFile, landing: S3Landing, work: Path) -> Path:
    """Download an object; return where it is.

    Raises:
        blocks.landing.LandingUnavailable: S3 does not answer.
    """
    target = work / Path(file.key).name
    try:
        landing.get_client().download_file(landing.bucket, file.key, str(target))
    except NOT_S3 as error:
        raise unavailable(landing.bucket, error) from error
    return target

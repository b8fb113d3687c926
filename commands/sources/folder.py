"""A folder of the landing bucket, or one file of it, as a source. Its files are in the bucket already."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from blocks.errors import PlatformError
from blocks.hand_out import Files
from blocks.landing import LandedFile, why_without_rows


class FolderRefused(PlatformError):
    """The folder cannot become a source as it is. The message says what to do."""


@dataclass(frozen=True)
class Folder:
    """The objects below a prefix, oldest first.

    `name` is the last part of the prefix, and `root` is the prefix that Airbyte's source reads. With `is_file`, it is
    one object that a person named.
    """

    name: str
    prefix: str
    root: str
    files: list[LandedFile]
    is_file: bool = False

    def globs(self, name: str) -> list[str]:
        """Return the globs of the stream of this name. They are empty if its files are in a folder of that name."""
        return [] if self.prefix == f"{self.root}{name}/" else [f"{self.prefix.removeprefix(self.root)}**"]


def is_url(file: str) -> bool:
    """Return whether a person means a place in S3."""
    return file.startswith("s3://")


def folder_of(url: str, look: Callable[[str], Files]) -> Folder:
    """List a folder, or find one file.

    Args:
        url: s3://bucket/prefix/, with or without the last slash, or s3://bucket/prefix/file.csv.
        look: function that lists the landing bucket's objects below a prefix.

    Raises:
        FolderRefused: the folder is outside the landing prefix, or has no data file.
    """
    parts = urlsplit(url, allow_fragments=False)
    path = f"{parts.path}?{parts.query}".removesuffix("?").strip("/")
    found = look(path)
    if parts.netloc != found.bucket or not path.startswith(found.root) or path == found.root.rstrip("/"):
        raise FolderRefused(
            f"{url} is not a folder below s3://{found.bucket}/{found.root}, which Airbyte's source reads. "
            "Copy the files there, or give a folder there."
        )
    one = [file for file in found.files if file.key == path]
    prefix = f"{path.rpartition('/')[0] if one else path}/"
    below = [
        file
        for file in found.files
        if file.key.startswith(prefix) and file.key != prefix and not why_without_rows(file)
    ]
    files = one or sorted(below, key=lambda file: (file.date, file.key))
    if not files:
        raise FolderRefused(f"{url} has no data file. Upload one, or correct the folder's name.")
    return Folder(prefix.rstrip("/").rpartition("/")[2], prefix, found.root, files, bool(one))

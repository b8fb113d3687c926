"""A folder of the landing bucket as a source, or one of its files: they are there already."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from blocks.errors import PlatformError
from blocks.hand_out import Files
from blocks.landing import LandedFile, not_data


class FolderRefused(PlatformError):
    """The folder cannot become a source as it is; the text says what to do."""


@dataclass(frozen=True)
class Folder:
    """Objects below a prefix, oldest first; `name` is the folder's own, and `root` where Airbyte's source begins.

    With `is_file` it is one object that a person has named.
    """

    name: str
    prefix: str
    root: str
    files: list[LandedFile]
    is_file: bool = False

    def globs(self, name: str) -> list[str]:
        """Which of the source's files belong to the stream of this name; none where they are in its own folder."""
        return [] if self.prefix == f"{self.root}{name}/" else [f"{self.prefix.removeprefix(self.root)}**"]


def is_url(file: str) -> bool:
    """Whether a person means a place in S3."""
    return file.startswith("s3://")


def folder_of(url: str, look: Callable[[str], Files]) -> Folder:
    """List a folder, or find one file.

    Args:
        url: s3://bucket/prefix/ with or without the last slash, or s3://bucket/prefix/file.csv.
        look: lists the landing bucket's objects below a prefix.

    Raises:
        FolderRefused: it is elsewhere, or holds no file of data.
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
    below = [file for file in found.files if file.key.startswith(prefix) and file.key != prefix and not not_data(file)]
    files = one or sorted(below, key=lambda file: (file.date, file.key))
    if not files:
        raise FolderRefused(f"{url} holds no file. Upload one, or correct the folder's name.")
    return Folder(prefix.rstrip("/").rpartition("/")[2], prefix, found.root, files, bool(one))

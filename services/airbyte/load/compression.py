"""Decompress gzip, bzip2 and zip, which source-s3 detects by suffix, and Zstandard, which newer versions support."""

import bz2
import gzip
import io
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, cast

from isal import igzip, igzip_lib

from services.airbyte.formats.model import SUFFIX_ADVICE, BadFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PIECE = 1 << 20
BZIP2_PIECE = 1 << 16
"""Bytes per read of bzip2 data. It is small because each member of the data leaves a copy of the bytes after it."""
# The library's type stub declares an instance, but the attribute is the class.
BROKEN_GZIP = cast(type[Exception], igzip_lib.IsalError)
BROKEN = (EOFError, BROKEN_GZIP, zlib.error, zstd.ZstdError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What the libraries raise for corrupt or truncated data, and for an encrypted zip archive."""


class Decompressed(io.RawIOBase):
    """The decompressed data of an object. Reading it to its end proves that the object is complete."""

    def __init__(self, kind: str, stream: IO[bytes]) -> None:
        super().__init__()
        self._kind = kind
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Read decompressed bytes.

        Raises:
            BadFile: the data is corrupt or truncated.
        """
        try:
            return self._stream.read(size)
        except gzip.BadGzipFile as error:
            if "Not a gzipped file" in str(error):
                raise BadFile(f"it is not a gzip file. {SUFFIX_ADVICE}") from None
            raise self._broken(error) from None
        except BROKEN as error:
            raise self._broken(error) from None
        except OSError as error:
            if error.errno:
                raise
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> BadFile:
        return BadFile(f"the {self._kind} data is broken or incomplete ({error}). Upload the file again")


def decompress(kind: str, body: IO[bytes]) -> Decompressed:
    if kind == "gzip":
        return Decompressed(kind, igzip.open(body))  # type: ignore[no-untyped-call]
    return Decompressed(kind, cast(IO[bytes], Bzip2(body) if kind == "bzip2" else zstd.ZstdFile(body)))


class Bzip2:
    """Decompress a bzip2 file and reject garbage after a member, which `bz2.BZ2File` ignores."""

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body
        self._member = bz2.BZ2Decompressor()

    def read(self, size: int) -> bytes:
        """Return at most `size` decompressed bytes.

        Raises:
            OSError: the data is corrupt.
            EOFError: the data is truncated.
        """
        while True:
            data = b""
            if self._member.eof:
                if not (data := self._member.unused_data or self._body.read(BZIP2_PIECE)):
                    return b""
                self._member = bz2.BZ2Decompressor()
            elif self._member.needs_input and not (data := self._body.read(BZIP2_PIECE)):
                raise EOFError("the end marker is missing")
            if got := self._member.decompress(data, size):
                return got


class StoredObject(io.RawIOBase):
    """A version of an object as a seekable file. Each read is one ranged request to S3."""

    def __init__(self, client: "S3Client", bucket: str, key: str, etag: str, size: int) -> None:
        super().__init__()
        self._client = client
        self._version = (bucket, key, etag)
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readall(self) -> bytes:
        return self._read(self._size - self._position)

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self._read(min(len(buffer), self._size - self._position))
        buffer[: len(data)] = data
        return len(data)

    def _read(self, length: int) -> bytes:
        if length <= 0:
            return b""
        bucket, key, etag = self._version
        part = f"bytes={self._position}-{self._position + length - 1}"
        data = self._client.get_object(Bucket=bucket, Key=key, Range=part, IfMatch=etag)["Body"].read()
        self._position += len(data)
        return data


def open_archive(stored: StoredObject) -> zipfile.ZipFile:
    """Open a zip archive.

    Raises:
        BadFile: the object is not a zip archive, or two of its files have the same name, so one would be lost.
    """
    try:
        opened = zipfile.ZipFile(io.BufferedReader(stored, PIECE))
    except BROKEN as error:
        raise BadFile(f"the file is not a complete zip archive ({error}). Upload the file again") from None
    names = Counter(each.filename for each in files_in(opened))
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise BadFile(f"the zip archive has two files named {twice!r}. Create it again with unique names")
    return opened


def files_in(opened: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Yield the files of an archive, without its folders and the metadata that macOS adds."""
    yield from (each for each in opened.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/"))


def open_member(opened: zipfile.ZipFile, name: str) -> Decompressed:
    try:
        return Decompressed("zip", opened.open(name))
    except BROKEN as error:
        raise BadFile(f"the file {name} in the zip archive is unreadable ({error}). Create the archive again") from None

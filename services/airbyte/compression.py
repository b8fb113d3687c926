"""Compressed objects as source-s3 knows them by their suffix: gzip, bzip2 and zip; Zstandard, too, as newer ones do."""

import bz2
import gzip
import io
import sys
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, cast

from isal import igzip, igzip_lib

from services.airbyte.formats.model import BadFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PIECE = 1 << 20
# The library's stub gives an instance where it has the class.
BROKEN_GZIP = cast(type[Exception], igzip_lib.IsalError)
BROKEN = (EOFError, BROKEN_GZIP, zlib.error, zstd.ZstdError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What the libraries raise for data that is broken, or cut short, or in a zip archive encrypted."""


class Decompressed(io.RawIOBase):
    """The data of a compressed object; its end is only reached if it is whole."""

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
        """Raise BadFile if the data is broken or ends early."""
        try:
            return self._stream.read(size)
        except gzip.BadGzipFile as error:
            raise BadFile(f"not a gzip file: {error}") from None
        except BROKEN as error:
            raise BadFile(f"the {self._kind} data is broken: {error}") from None
        except OSError as error:
            if error.errno:
                raise
            raise BadFile(f"the {self._kind} data is broken: {error}") from None


def decompressed(kind: str, body: IO[bytes]) -> Decompressed:
    if kind == "gzip":
        return Decompressed(kind, igzip.open(body))  # type: ignore[no-untyped-call]
    stream = bz2.BZ2File(body) if kind == "bzip2" else zstd.ZstdFile(body)
    return Decompressed(kind, cast(IO[bytes], stream))


class StoredObject(io.RawIOBase):
    """A version of an object as a file that can be read from anywhere in it, a request for each reading."""

    def __init__(self, client: "S3Client", bucket: str, key: str, etag: str, size: int) -> None:
        super().__init__()
        self._client = client
        self._where = (bucket, key, etag)
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readall(self) -> bytes:
        return self._read(self._size - self._at)

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self._read(min(len(buffer), self._size - self._at))
        buffer[: len(data)] = data
        return len(data)

    def _read(self, length: int) -> bytes:
        if length <= 0:
            return b""
        bucket, key, etag = self._where
        part = f"bytes={self._at}-{self._at + length - 1}"
        data = self._client.get_object(Bucket=bucket, Key=key, Range=part, IfMatch=etag)["Body"].read()
        self._at += len(data)
        return data


def archive(stored: StoredObject) -> zipfile.ZipFile:
    """Raise BadFile if the object is not a zip archive."""
    try:
        return zipfile.ZipFile(io.BufferedReader(stored, PIECE))
    except BROKEN as error:
        raise BadFile(f"not a zip archive: {error}") from None


def files_in(opened: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """The files of an archive, without its folders and what macOS adds to one."""
    yield from (each for each in opened.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/"))


def member(opened: zipfile.ZipFile, name: str) -> Decompressed:
    try:
        return Decompressed("zip", opened.open(name))
    except BROKEN as error:
        raise BadFile(f"the file {name} of the zip archive cannot be read: {error}") from None

"""Compressed objects as source-s3 knows them by their suffix: gzip, bzip2 and zip; Zstandard, too, as newer ones do."""

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

from services.airbyte.formats.model import SUFFIX, BadFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PIECE = 1 << 20
BZIP2_PIECE = 1 << 16
"""Bytes that are read at once of bzip2, whose short members each leave a copy of the rest."""
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
            if "Not a gzipped file" in str(error):
                raise BadFile(f"not a gzip file. {SUFFIX}") from None
            raise self._broken(error) from None
        except BROKEN as error:
            raise self._broken(error) from None
        except OSError as error:
            if error.errno:
                raise
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> BadFile:
        return BadFile(f"the {self._kind} data is broken or incomplete ({error}). Upload the file again")


def decompressed(kind: str, body: IO[bytes]) -> Decompressed:
    if kind == "gzip":
        return Decompressed(kind, igzip.open(body))  # type: ignore[no-untyped-call]
    return Decompressed(kind, cast(IO[bytes], Bzip2(body) if kind == "bzip2" else zstd.ZstdFile(body)))


class Bzip2:
    """The data of a bzip2 file to its end: `bz2.BZ2File` ignores bytes after a member that do not begin another."""

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body
        self._member = bz2.BZ2Decompressor()

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes. Raises OSError or EOFError if the data is broken, or ends early."""
        while True:
            data = b""
            if self._member.eof:
                if not (data := self._member.unused_data or self._body.read(BZIP2_PIECE)):
                    return b""
                self._member = bz2.BZ2Decompressor()
            elif self._member.needs_input and not (data := self._body.read(BZIP2_PIECE)):
                raise EOFError("it ends before its end marker")
            if got := self._member.decompress(data, size):
                return got


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
    """Raise BadFile if the object is not a zip archive, or has two files of one name, of which one would be lost."""
    try:
        opened = zipfile.ZipFile(io.BufferedReader(stored, PIECE))
    except BROKEN as error:
        raise BadFile(f"not a zip archive, or an incomplete one ({error}). Upload the file again") from None
    names = Counter(each.filename for each in files_in(opened))
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise BadFile(f"the zip archive has two files called {twice!r}. Make it again with different names")
    return opened


def files_in(opened: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """The files of an archive, without its folders and what macOS adds to one."""
    yield from (each for each in opened.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/"))


def member(opened: zipfile.ZipFile, name: str) -> Decompressed:
    try:
        return Decompressed("zip", opened.open(name))
    except BROKEN as error:
        raise BadFile(f"the file {name} of the zip archive cannot be read ({error}). Make the archive again") from None

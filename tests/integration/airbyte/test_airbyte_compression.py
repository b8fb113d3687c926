"""Objects compressed by gzip, bzip2, Zstandard and zip give the rows of what is in them, or are named as broken."""

import bz2
import gzip
import io
import sys
import zipfile
from collections.abc import Callable

import pytest

from tests.integration.airbyte.running_mock import Landing, Mock, Start

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"id,name\n1,ant\n2,bee\n"
MANY = b"id,name\n" + b"1,x\n" * 400_000


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    with zipfile.ZipFile(out := io.BytesIO(), "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "a.csv.gz": gzip.compress,
    "a.csv.bz2": bz2.compress,
    "a.csv.zst": zstd.compress,
    "a.zip": lambda data: zipped({"a.csv": data}),
}


def test_every_compression_gives_the_same_rows(mock: Mock, landing: Landing) -> None:
    for name, compress in COMPRESSED.items():
        landing.put(f"shops/{name}", compress(TEXT))
    landing.put("shops/TWICE.CSV.BZ2", bz2.compress(TEXT[:9]) + bz2.compress(TEXT[9:]))
    landing.put("shops/stored.zip", zipped({"a.csv": TEXT}, zipfile.ZIP_STORED))
    landing.put("shops/lzma.zip", zipped({"a.csv": TEXT}, zipfile.ZIP_LZMA))
    job = mock.sync()
    assert (job["status"], job["rowsSynced"]) == ("succeeded", 14)
    assert mock.rows("DISTINCT id, name", "shops") == [(1, "ant"), (2, "bee")]


def test_each_file_of_an_archive_is_a_file_of_its_stream_and_is_read_once(mock: Mock, landing: Landing) -> None:
    files = {"a.csv": TEXT, "deep/b.jsonl": b'{"id": 3, "name": "cat"}\n', "c.csv.gz": gzip.compress(b"id\n4\n")}
    landing.put("shops/all.zip", zipped({**files, "deep/": b"", "readme.txt": b"no rows", "__MACOSX/._a.csv": b"\0"}))
    assert [mock.sync()["rowsSynced"], mock.sync()["rowsSynced"]] == [4, 0]
    keys = {1: "all.zip#a.csv", 2: "all.zip#a.csv", 3: "all.zip#deep/b.jsonl", 4: "all.zip#c.csv.gz"}
    found = dict(mock.rows("id, _ab_source_file_url", "shops"))
    assert found == {id_: f"inbound/shops/{key}" for id_, key in keys.items()}
    landing.put("shops/all.zip", zipped({"a.csv": TEXT + b"5,dog\n"}))
    assert mock.sync()["rowsSynced"] == 3


def test_files_of_an_archive_whose_names_lead_out_of_it_are_loaded(mock: Mock, landing: Landing) -> None:
    names = ["../up.csv", "../../up.csv", "./here.csv", "a/../b.csv", "/root.csv"]
    landing.put("shops/all.zip", zipped({name: f"id,name\n1,{name}\n".encode() for name in names}))
    assert mock.sync()["rowsSynced"] == len(names)
    assert {row[0] for row in mock.rows("name", "shops")} == set(names)


def test_an_archive_with_two_files_of_one_name_is_refused(mock: Mock, landing: Landing) -> None:
    with zipfile.ZipFile(out := io.BytesIO(), "w") as archive:
        archive.writestr("a.csv", TEXT)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.csv", TEXT)
    landing.put("shops/all.zip", out.getvalue())
    job = mock.sync()
    assert job["status"] == "failed"
    assert "two files named 'a.csv'. Create it again" in mock.reason(job["jobId"])


def broken(data: bytes) -> bytes:
    return data[: len(data) - 30] + bytes(20) + data[-10:]


def encrypted(data: bytes) -> bytes:
    """The archive with the flag of an encrypted file in both of its headers."""
    marked = bytearray(data)
    for header, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        marked[marked.index(header) + at] |= 1
    return bytes(marked)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv.bz2", bz2.compress(MANY)[:-20], "the bzip2 data is broken"),
        ("a.csv.zst", zstd.compress(MANY)[:-5], "the Zstandard data is broken"),
        ("a.csv.bz2", TEXT, "the bzip2 data is broken"),
        ("a.csv.bz2", bz2.compress(TEXT) + b"X" + bz2.compress(TEXT), "the bzip2 data is broken"),
        ("a.csv.bz2", bz2.compress(MANY) + bz2.compress(MANY)[:-20], "the bzip2 data is broken"),
        ("a.csv.zst", TEXT, "the Zstandard data is broken"),
        ("a.csv.zst", gzip.compress(TEXT, mtime=0), "the Zstandard data is broken"),
        ("a.zip", TEXT, "not a complete zip archive"),
        ("a.zip", zipped({"a.csv": MANY})[:-40], "not a complete zip archive"),
        ("a.zip", zipped({"a.csv": TEXT}, zipfile.ZIP_STORED).replace(b"ant", b"ANT", 1), "the zip data is broken"),
        ("a.zip", encrypted(zipped({"a.csv": TEXT})), "encrypted"),
    ],
)
def test_broken_data_fails_the_stream_with_the_files_name_and_leaves_no_row(
    mock: Mock, landing: Landing, name: str, content: bytes, said: str
) -> None:
    landing.put(f"shops/{name}", content)
    job = mock.sync()
    assert (job["status"], job["rowsSynced"], mock.files("shops")) == ("failed", 0, [])
    assert f"inbound/shops/{name}" in (reason := mock.reason(job["jobId"]))
    assert said in reason


@pytest.mark.parametrize("name", [name for name in COMPRESSED if not name.endswith(".gz")])
def test_the_limits_count_what_is_decompressed(start: Start, landing: Landing, name: str) -> None:
    landing.put(f"shops/{name}", COMPRESSED[name](MANY))
    with start(max_file_size=1_000_000) as mock:
        assert "MOCK_AIRBYTE_MAX_FILE_SIZE" in mock.reason(mock.sync()["jobId"])


def test_a_zstandard_file_that_grows_out_of_proportion_is_stopped_early(mock: Mock, landing: Landing) -> None:
    landing.put("shops/a.csv.zst", zstd.compress(b"id,name\n" + b"1,x\n" * 30_000_000))
    assert "MOCK_AIRBYTE_MAX_GZIP_RATIO" in mock.reason(mock.sync()["jobId"])

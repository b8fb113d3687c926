"""Cursors and landed files come back into a bucket, and none that has moved on is set back."""

from hashlib import md5
from io import BytesIO, RawIOBase
from typing import Any

from blocks.landing import AwsAccess, s3_client
from blocks.landing_archive import PIECE, SMALL, restore, save
from tests.integration.servers import s3_server


def test_a_bucket_gets_back_what_it_lacks_and_keeps_what_it_has() -> None:
    with s3_server() as url:
        s3 = s3_client("one", AwsAccess(url, "us-east-1", "a", "b"))
        for bucket in ("one", "two"):
            s3.create_bucket(Bucket=bucket)
        for key in ("_cursors/a", "_cursors/b", "inbound/flights/ü 1.csv"):
            s3.put_object(Bucket="one", Key=key, Body=key.encode())
        s3.put_object(Bucket="two", Key="_cursors/a", Body=b"newer")
        cursors, everything = BytesIO(), BytesIO()
        assert save(s3, "one", cursors, everything=False) == 2
        assert save(s3, "one", everything, everything=True) == 3
        everything.seek(0)
        assert restore(s3, "two", everything) == 2
        assert objects(s3, "two") == {
            "_cursors/a": b"newer",
            "_cursors/b": b"_cursors/b",
            "inbound/flights/ü 1.csv": "inbound/flights/ü 1.csv".encode(),
        }


class Pipe(RawIOBase):
    """A stream that can be read or written once, in order; it knows the most that was asked of it at once."""

    def __init__(self, content: bytes = b"") -> None:
        self.content, self.largest = BytesIO(content), 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0
        self.largest = max(self.largest, size)
        return self.content.read(size)

    def write(self, data: Any) -> int:
        self.largest = max(self.largest, len(data))
        return self.content.write(data)


def test_a_large_object_keeps_its_etag_and_is_never_in_memory_as_a_whole() -> None:
    large, parts = bytes(range(256)) * (SMALL // 128), [b"a" * (6 * 2**20), b"b" * (5 * 2**20 + 1), b"c"]
    with s3_server() as url:
        s3 = s3_client("from", AwsAccess(url, "us-east-1", "a", "b"))
        for bucket in ("from", "back"):
            s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket="from", Key="inbound/flights/one piece ü.csv", Body=large)
        upload_in_parts(s3, "inbound/flights/parts.csv", parts)
        out = Pipe()
        assert save(s3, "from", out, everything=True) == 2
        saved = Pipe(out.content.getvalue())
        assert restore(s3, "back", saved) == 2
        assert max(out.largest, saved.largest) <= PIECE
        etags = [
            {each["Key"]: each["ETag"] for each in s3.list_objects_v2(Bucket=name)["Contents"]}
            for name in ("from", "back")
        ]
        assert etags[0] == etags[1]
        found = objects(s3, "back")
        assert md5(found["inbound/flights/one piece ü.csv"]).digest() == md5(large).digest()
        assert md5(found["inbound/flights/parts.csv"]).digest() == md5(b"".join(parts)).digest()


def upload_in_parts(s3: Any, key: str, parts: list[bytes]) -> None:
    to = {"Bucket": "from", "Key": key}
    to["UploadId"] = s3.create_multipart_upload(**to)["UploadId"]
    tags = [s3.upload_part(**to, PartNumber=n, Body=part)["ETag"] for n, part in enumerate(parts, start=1)]
    done = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, start=1)]
    s3.complete_multipart_upload(**to, MultipartUpload={"Parts": done})


def objects(s3: Any, bucket: str) -> dict[str, bytes]:
    found = s3.list_objects_v2(Bucket=bucket)["Contents"]
    return {each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in found}

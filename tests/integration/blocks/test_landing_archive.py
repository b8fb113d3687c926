"""Cursors and landed files come back into a bucket, and none that has moved on is set back."""

from io import BytesIO
from typing import Any

from blocks.landing import AwsAccess, s3_client
from blocks.landing_archive import restore, save
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
        assert objects(s3) == {
            "_cursors/a": b"newer",
            "_cursors/b": b"_cursors/b",
            "inbound/flights/ü 1.csv": "inbound/flights/ü 1.csv".encode(),
        }


def objects(s3: Any) -> dict[str, bytes]:
    found = s3.list_objects_v2(Bucket="two")["Contents"]
    return {each["Key"]: s3.get_object(Bucket="two", Key=each["Key"])["Body"].read() for each in found}

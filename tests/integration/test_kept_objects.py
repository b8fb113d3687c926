"""The embedded S3 keeps what was landed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from commands.embedded.processes import Processes, free_ports
from commands.embedded.stack import CREDENTIALS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1 << 20


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], "S3Client"]]:
    """Start the stand-ins, the ones before being killed; a client of their S3."""
    running: list[Processes] = []

    def again() -> "S3Client":
        while running:
            running[-1].children["stand-ins"].kill()
            running.pop().__exit__(None, None, None)
        processes = Processes(tmp_path / "logs")
        running.append(processes)
        s3, airbyte = free_ports(2)
        ports = ["--s3-port", str(s3), "--airbyte-port", str(airbyte)]
        folders = [f"--{name}-dir={tmp_path / name}" for name in ("lake", "state", "s3")]
        processes.start("stand-ins", ["-m", "commands.embedded.stand_ins", *ports, *folders], CREDENTIALS)
        processes.wait_until_ready("stand-ins", f"http://127.0.0.1:{airbyte}/api/public/v1/health")
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{s3}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )

    yield again
    for processes in running:
        processes.__exit__(None, None, None)


def test_objects_outlive_a_kill_with_their_date_etag_and_metadata(start: Callable[[], "S3Client"]) -> None:
    s3 = start()
    s3.create_bucket(Bucket="landing")
    keys = ["a/ü b+%2F?.csv", "../../up", "twice", "gone", "also gone", "x" * 1000, "copy"]
    for number, key in enumerate(keys[:-1]):
        s3.put_object(Bucket="landing", Key=key, Body=b"%d\n\x00" % number, Metadata={"n": "1"}, ContentType="text/csv")
    s3.put_object(Bucket="landing", Key="twice", Body=b"newer")
    s3.copy_object(Bucket="landing", Key="copy", CopySource={"Bucket": "landing", "Key": "twice"})
    s3.delete_object(Bucket="landing", Key="gone")
    s3.delete_objects(Bucket="landing", Delete={"Objects": [{"Key": "also gone"}]})
    upload = s3.create_multipart_upload(Bucket="landing", Key="parts")["UploadId"]
    parts = []
    for number, body in enumerate((b"p" * 5 * MIB, b"end"), start=1):
        part = s3.upload_part(Bucket="landing", Key="parts", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(
        Bucket="landing",
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]
    )

    def facts(client: "S3Client") -> dict[str, tuple[object, ...]]:
        found = client.list_objects_v2(Bucket="landing")["Contents"]
        heads = {each["Key"]: client.get_object(Bucket="landing", Key=each["Key"]) for each in found}
        return {
            key: (head["ETag"], head["LastModified"], head["Body"].read(), head["Metadata"], head["ContentType"])
            for key, head in heads.items()
        }

    before = facts(s3)
    assert set(before) == {*keys, "parts"} - {"gone", "also gone"}
    assert before["parts"][0].endswith('-2"')
    s3 = start()
    assert facts(s3) == before
    etag = s3.put_object(Bucket="landing", Key="twice", Body=b"newest", IfMatch=before["twice"][0])["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="landing", Key="twice", Body=b"late", IfMatch=before["twice"][0])
    assert start().head_object(Bucket="landing", Key="twice")["ETag"] == etag

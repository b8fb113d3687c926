"""A folder of the landing bucket can be a source: its files are there already."""

from io import BytesIO
from uuid import uuid4

import boto3
import pytest
from pydantic import SecretStr

from blocks.hand_out import answer, files
from blocks.systems import S3Landing
from commands.sources.folder import Folder, FolderRefused, folder_of


@pytest.fixture
def landing(s3_url: str) -> S3Landing:
    found = S3Landing(
        bucket=f"folder-{uuid4().hex[:12]}",
        prefix="inbound/",
        endpoint_url=s3_url,
        region="us-east-1",
        access_key_id="test",
        secret_access_key=SecretStr("test"),
    )
    client = boto3.client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=found.bucket)
    # In the order of their names, because a second may end between two of them.
    for key in ("inbound/shop/parcels/a.csv", "inbound/shop/parcels/b.csv", "inbound/shop/parcels/_SUCCESS"):
        client.put_object(Bucket=found.bucket, Key=key, Body=b"" if "_" in key else key.encode())
    return found


def folder(url: str, landing: S3Landing) -> Folder:
    return folder_of(url, lambda prefix: files(landing, prefix))


def test_its_files_are_those_with_data_and_the_stream_finds_them_by_a_glob(landing: S3Landing) -> None:
    found = folder(f"s3://{landing.bucket}/inbound/shop/parcels", landing)
    assert found.name == "parcels"
    assert [file.key for file in found.files] == ["inbound/shop/parcels/a.csv", "inbound/shop/parcels/b.csv"]
    assert found.globs("parcels") == ["shop/parcels/**"]
    assert not found.is_file


def test_one_of_its_files_can_be_named_and_is_handed_out(landing: S3Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder(f"s3://{landing.bucket}/inbound/shop/parcels/b.csv", landing)
    assert found.is_file
    assert (found.name, [file.key for file in found.files]) == ("parcels", ["inbound/shop/parcels/b.csv"])
    monkeypatch.setenv("S3_BUCKET", landing.bucket)
    monkeypatch.setenv("S3_ENDPOINT_URL", landing.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    answer("file", found.files[0].key, out := BytesIO())
    assert out.getvalue() == b"inbound/shop/parcels/b.csv"


def test_a_folder_of_the_streams_name_needs_no_glob(landing: S3Landing) -> None:
    assert folder(f"s3://{landing.bucket}/inbound/shop/", landing).globs("shop") == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://elsewhere/inbound/shop/", "is not a folder below s3://BUCKET/inbound/"),
        ("s3://BUCKET/outbound/", "is not a folder below"),
        ("s3://BUCKET/inbound/", "is not a folder below"),
        ("s3://BUCKET/inbound/nothing/", "has no data file"),
    ],
)
def test_another_place_is_refused(url: str, said: str, landing: S3Landing) -> None:
    with pytest.raises(FolderRefused) as refused:
        folder(url.replace("BUCKET", landing.bucket), landing)
    assert said.replace("BUCKET", landing.bucket) in str(refused.value)

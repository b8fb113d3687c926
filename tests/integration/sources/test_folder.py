"""A folder of the landing bucket can be a source: its files are there already."""

from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from pydantic import SecretStr

from blocks.systems import S3Landing
from services.sources.folder import FolderRefused, fetch, folder_of


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
    for key in ("inbound/shop/parcels/b.csv", "inbound/shop/parcels/a.csv", "inbound/shop/parcels/_SUCCESS"):
        client.put_object(Bucket=found.bucket, Key=key, Body=b"" if "_" in key else key.encode())
    return found


def test_its_files_are_those_with_data_and_the_stream_finds_them_by_a_glob(landing: S3Landing, tmp_path: Path) -> None:
    folder = folder_of(f"s3://{landing.bucket}/inbound/shop/parcels", landing)
    assert folder.name == "parcels"
    assert [file.key for file in folder.files] == ["inbound/shop/parcels/a.csv", "inbound/shop/parcels/b.csv"]
    assert folder.globs("parcels", "inbound/") == ["shop/parcels/**"]
    assert fetch(folder.files[0], landing, tmp_path).read_text() == "inbound/shop/parcels/a.csv"


def test_a_folder_of_the_streams_name_needs_no_glob(landing: S3Landing) -> None:
    assert folder_of(f"s3://{landing.bucket}/inbound/shop/", landing).globs("shop", "inbound/") == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://elsewhere/inbound/shop/", "is not a folder below s3://BUCKET/inbound/"),
        ("s3://BUCKET/outbound/", "is not a folder below"),
        ("s3://BUCKET/inbound/", "is not a folder below"),
        ("s3://BUCKET/inbound/nothing/", "holds no file"),
    ],
)
def test_another_place_is_refused(url: str, said: str, landing: S3Landing) -> None:
    with pytest.raises(FolderRefused) as refused:
        folder_of(url.replace("BUCKET", landing.bucket), landing)
    assert said.replace("BUCKET", landing.bucket) in str(refused.value)

"""A file is landed from standard input, and the published tables answer SQL while they are replaced."""

import io
import random
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from blocks import sql
from blocks.land import Truncated, land
from blocks.landing import listing
from blocks.systems import S3Landing
from services.testing import Platform
from services.testing.platform import PROJECT, PlatformFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_landing_says_whether_the_content_is_new(s3: "S3Client", bucket: str) -> None:
    place = S3Landing(bucket=bucket, prefix="inbound/", endpoint_url=s3.meta.endpoint_url)
    key = "inbound/airlines/a.csv"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first, again, other = (land(key, io.BytesIO(body), place) for body in (b"1", b"1", b"2"))
    assert [each["new"] for each in (first, again, other)] == [True, False, True]
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2
    assert first["etag"] == again["etag"] != other["etag"]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"2"


PART = 5 * 1024 * 1024


def test_a_large_file_is_landed_part_by_part_and_not_again(s3: "S3Client", bucket: str) -> None:
    place = S3Landing(bucket=bucket, prefix="inbound/", endpoint_url=s3.meta.endpoint_url)
    key, content = "inbound/airlines/large.csv", random.Random(1).randbytes(2 * PART + 1)
    first, again = (land(key, io.BytesIO(content), place, len(content), PART) for _ in range(2))
    assert (first["new"], again["new"]) == (True, False)
    assert first["etag"] == again["etag"]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == content
    s3.put_object(Bucket=bucket, Key=key, Body=content)  # by somebody else, at once
    assert land(key, io.BytesIO(content), place, len(content), PART)["new"] is False
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize("part", [PART, 3 * PART])
def test_a_file_of_which_only_a_part_came_is_not_landed(s3: "S3Client", bucket: str, part: int) -> None:
    place = S3Landing(bucket=bucket, prefix="inbound/", endpoint_url=s3.meta.endpoint_url)
    with pytest.raises(Truncated, match=r"x.csv was not uploaded: only 10,485,760 of 10,485,761 bytes arrived"):
        land("inbound/x.csv", io.BytesIO(bytes(2 * PART)), place, 2 * PART + 1, part)
    assert list(listing(s3, bucket, "")) == []
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def publish(file: Path, value: int) -> None:
    """Put a new warehouse into place as the pipeline does, by renaming."""
    new = file.with_suffix(".new")
    with duckdb.connect(str(new)) as connection:
        connection.execute(f"create table t as select {value} as answer")
    new.replace(file)


def test_each_statement_sees_what_was_published_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "warehouse.duckdb"
    for value in (41, 42):
        publish(file, value)
        assert sql.run("from t", file, tmp_path)
        assert str(value) in capsys.readouterr().out


def test_a_failing_query_tells_why_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path / "warehouse.duckdb", 1)
    monkeypatch.setenv("PUBLISHED_PATH", str(tmp_path / "warehouse.duckdb"))
    assert sql.main(["from nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert sql.main(["drop table t"]) == 1


def test_the_prompt_takes_statements_up_to_the_semicolon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path / "warehouse.duckdb", 7)
    lines = iter(["select answer * 6", "from t;"])

    def typed(_prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", typed)
    sql.prompt(lambda statement: sql.run(statement, tmp_path / "warehouse.duckdb", tmp_path), "Welcome.")
    said = capsys.readouterr().out
    assert said.startswith("Welcome.")
    assert "42" in said


@pytest.mark.parametrize(
    "statement",
    [
        "copy (select 1) to '{file}'",
        "attach '{folder}/other.duckdb'",
        "from read_text('{folder}/secret')",
        "set enable_external_access = true",
        "set allowed_directories = ['/']; copy (select 1) to '{file}'",
    ],
)
def test_no_statement_reaches_another_file(tmp_path: Path, statement: str) -> None:
    file = tmp_path / "warehouse.duckdb"
    publish(file, 1)
    (tmp_path / "secret").write_text("s3cret")
    assert not sql.run(statement.format(file=file, folder=tmp_path), file, tmp_path / "it's a lake")
    assert sql.run("from t", file, tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {"warehouse.duckdb", "secret"}


def test_a_view_over_the_lake_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, lake = tmp_path / "warehouse.duckdb", tmp_path / "it's a lake"
    lake.mkdir()
    quoted = str(lake).replace("'", "''")
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"copy (select 42 as answer) to '{quoted}/a.parquet'")
        connection.execute(f"create view v as from '{quoted}/*.parquet'")
    assert sql.run("from v", file, lake)
    assert "42" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "code", "printed"),
    [
        ("from t", 0, ["7"]),
        ("-- é\nselect 'a;b' as \"é--\";\n-- and\nfrom t; -- end", 0, ["a;b", "7"]),
        ("from t; from no; from t", 1, ["7"]),
    ],
)
def test_a_script_on_standard_input_is_run_whole_and_its_failure_is_the_result(
    script: str,
    code: int,
    printed: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish(tmp_path / "warehouse.duckdb", 7)
    monkeypatch.setenv("PUBLISHED_PATH", str(tmp_path / "warehouse.duckdb"))
    monkeypatch.setattr("sys.stdin", io.StringIO(script))
    assert sql.main([]) == code
    out = capsys.readouterr().out
    assert [out.count(each) for each in printed] == [1] * len(printed)
    assert "sql>" not in out


def test_before_anything_is_published_sql_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUBLISHED_PATH", str(tmp_path / "nothing.duckdb"))
    assert sql.main([]) == 1
    assert "Run full_pipeline first" in capsys.readouterr().err


def test_a_wrong_setting_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHNESS_THRESHOLD_HOURS", "soon")
    assert sql.main([]) == 1
    assert "FRESHNESS_THRESHOLD_HOURS is 'soon'" in capsys.readouterr().err


@pytest.fixture
def elsewhere(s3_url: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform whose files land in a bucket of someone's own; no Docker engine answers it."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    local = (PROJECT / "profiles" / "local.env").read_text()
    values = {
        "PROFILE": "elsewhere",
        "COMPOSE_PROFILES": "airbyte,prefect",
        "S3_ENDPOINT_URL": s3_url,
        "S3_BUCKET": bucket,
    }
    for name, value in values.items():
        local = re.sub(rf"^{name}=.*", f"{name}={value}", local, flags=re.MULTILINE)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "elsewhere.env").write_text(local)
    shutil.copy2(PROJECT / "docker-compose.yml", tmp_path)
    return Platform(tmp_path, "elsewhere")


def test_what_a_test_lands_in_a_bucket_of_someones_own_is_removed_whatever_fails(
    elsewhere: Platform, s3: "S3Client", bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="inbound/flights/own.csv", Body=b"own")
    elsewhere.land("inbound/flights/trial.csv", b"trial")
    assert s3.get_object(Bucket=bucket, Key="inbound/flights/trial.csv")["Body"].read() == b"trial"
    with pytest.raises(PlatformFailed):
        elsewhere.__exit__()
    assert [file.key for file in listing(s3, bucket, "")] == ["inbound/flights/own.csv"]

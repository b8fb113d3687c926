"""A file is landed from standard input, and the published tables answer SQL while they are replaced."""

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from blocks import sql
from blocks.connections import S3Landing
from blocks.land import land

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_landing_says_whether_the_content_is_new(s3: "S3Client", bucket: str) -> None:
    place = S3Landing(bucket=bucket, prefix="inbound/", endpoint_url=s3.meta.endpoint_url)
    key = "inbound/airlines/a.csv"
    first, again, other = (land(key, body, place) for body in (b"1", b"1", b"2"))
    assert [each["new"] for each in (first, again, other)] == [True, False, True]
    assert first["etag"] == again["etag"] != other["etag"]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"2"


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
        assert sql.run("from t", file)
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
    sql.prompt(lambda statement: sql.run(statement, tmp_path / "warehouse.duckdb"), "Welcome.")
    said = capsys.readouterr().out
    assert said.startswith("Welcome.")
    assert "42" in said


def test_before_anything_is_published_sql_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUBLISHED_PATH", str(tmp_path / "nothing.duckdb"))
    assert sql.main([]) == 1
    assert "run full_pipeline first" in capsys.readouterr().err


def test_a_wrong_setting_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHNESS_THRESHOLD_HOURS", "soon")
    assert sql.main([]) == 1
    assert "FRESHNESS_THRESHOLD_HOURS is 'soon'" in capsys.readouterr().err

"""The account of every row: what is lost, doubled, old or unknown is named."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import duckdb
import pytest

from commands.scenarios.orders import STREAM, Orders, reconcile
from services.testing.running import Running

LANDED = Orders("scenario-one.csv.gz", 10_000, 2, amount=1)
ROWS = [(10_000, "gift", "north", 1), (10_001, "gift", "north", 1)]


class Held(Running):
    """A platform that holds what a test says."""

    bucket, prefix = "landing", "inbound/"
    start = kill = pause = resume = register = logs = prefect = airbyte = airbyte_url = messages = None  # type: ignore[assignment]

    def __init__(self, folder: Path, s3: object, raw: list[int], marts: list[tuple], published: list[tuple]) -> None:
        self.lake, self._s3, self._marts, self._published = str(folder), s3, marts, published
        (folder / STREAM).mkdir()
        rows = ", ".join(f"('{number}', 'inbound/{STREAM}/{LANDED.name}', 'gift', 'north', '1.00')" for number in raw)
        names = "order_id, _ab_source_file_url, note, region, amount"
        duckdb.sql(f"copy (from (values {rows}) as t({names})) to '{folder}/{STREAM}/one.parquet'")

    def s3(self):
        return self._s3

    def rows(self, query: str) -> list[tuple]:
        return self._published

    def built(self, query: str) -> list[tuple]:
        return self._marts

    def raw(self, query: str) -> list[tuple]:
        return duckdb.sql(query).fetchall()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    moto = pytest.importorskip("moto")
    with moto.mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        client.create_bucket(Bucket=Held.bucket)
        client.put_object(Bucket=Held.bucket, Key=f"inbound/{STREAM}/{LANDED.name}", Body=LANDED.content)
        yield client


@pytest.mark.parametrize(
    ("raw", "marts", "published", "problems"),
    [
        ([10_000, 10_001], ROWS, ROWS, []),
        ([10_000], ROWS, ROWS, ["1 lost on the way to raw: 10001"]),
        ([10_000, 10_001], ROWS, ROWS[:1], ["1 lost in published: 10001"]),
        ([10_000, 10_001], [*ROWS, ROWS[0]], ROWS, ["1 doubled in marts: 10000"]),
        ([10_000, 10_001], ROWS, [ROWS[0], (10_001, "gift", "north", 0)], ["1 old or wrong in published: 10001"]),
        (
            [10_000, 10_001],
            ROWS,
            [*ROWS, (10_002, "gift", "north", 1)],
            ["1 in published, although no file has it: 10002"],
        ),
    ],
    ids=["even", "lost in raw", "lost", "doubled", "wrong", "unknown"],
)
def test_a_row_that_is_not_where_it_should_be_is_named(
    s3: object, tmp_path: Path, raw: list[int], marts: list[tuple], published: list[tuple], problems: list[str]
) -> None:
    account = reconcile(Held(tmp_path, s3, raw, marts, published))
    assert account.problems == problems
    assert account.is_correct is not bool(problems)


def test_a_row_that_is_twice_in_raw_is_named(s3: object, tmp_path: Path) -> None:
    account = reconcile(Held(tmp_path, s3, [10_000, 10_001, 10_001], ROWS, ROWS))
    assert len(account.problems) == 1
    assert account.problems[0].startswith("1 doubled in raw: ('10001', ")


def test_an_earlier_version_of_a_file_in_raw_doubles_no_row(s3: object, tmp_path: Path) -> None:
    held = Held(tmp_path, s3, [10_000, 10_001], ROWS, ROWS)
    one = f"{tmp_path}/{STREAM}/one.parquet"
    duckdb.sql(f"copy (select * replace ('east' as region) from '{one}') to '{tmp_path}/{STREAM}/earlier.parquet'")
    assert reconcile(held).is_correct

"""The lake's own questions are answered whatever a stream's columns, and the folders above it, are called."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from blocks import lake

NEWEST = datetime(2013, 1, 31, tzinfo=UTC)
KEYS = ("inbound/odd/a.csv", "inbound/odd/a.zip")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A lake below a folder that looks like a Hive partition, with columns that SQL might use itself."""
    (folder := tmp_path / "id=2024" / "odd").mkdir(parents=True)
    columns = "7 as id, 'x' as job, 'y' as object, 'z' as filename, 1 as key, 2 as file_row_number"
    for name, key in (("1", KEYS[0]), ("2", f"{KEYS[1]}#b.csv")):
        own = f"""'{key}' as _ab_source_file_url, '2013-01-31T00:00:00Z' as _ab_source_file_last_modified,
                  '2013-02-01T00:00:00Z'::timestamptz as _airbyte_extracted_at, '{{"sync_id": 5}}' as _airbyte_meta"""
        duckdb.sql(f"copy (select {columns}, {own}) to '{folder / name}.parquet' (format parquet)")
    return folder.parent


@pytest.mark.parametrize("key", KEYS)
def test_a_files_rows_are_found(odd: Path, key: str) -> None:
    assert lake.arrived(odd, [key, "inbound/odd/none.csv"]) == {key: NEWEST}
    assert lake.rows_of(odd, key) == {"odd": 1}


def test_a_syncs_rows_are_counted(odd: Path) -> None:
    assert lake.synced(odd, {5: NEWEST, 6: NEWEST}) == {5: {"odd": 2}, 6: {}}
    assert lake.rows(odd) == {"odd": 2}


def test_a_folder_takes_the_place_of_no_column(odd: Path) -> None:
    assert lake.columns(odd)["odd"]["id"] == "INTEGER"


def test_the_values_of_files_that_were_merged_are_counted_by_file_like_those_of_others(tmp_path: Path) -> None:
    (folder := tmp_path / "orders").mkdir()
    own = "'{}' as _ab_source_file_url, timestamptz '2013-02-0{} 00:00:00Z' as _airbyte_extracted_at"
    old = f"select 1 as id, 'x' as Name, 3 as count_star, {own.format('old.csv', 1)} from range(3)"
    values = "i as id, if(i > 1, null, 'x') as Name, null::int as count_star"
    new = f"select {values}, {own.format('new.csv', 2)} from range(4) t(i)"
    newer = new.replace("new.csv", "newer.csv")
    duckdb.sql(f"copy ({new}) to '{folder}/new.parquet'; copy ({newer}) to '{folder}/newer.parquet'")
    since = datetime(2013, 2, 2, tzinfo=UTC)
    apart = lake.fills(tmp_path, since)
    for file in folder.iterdir():
        file.unlink()
    duckdb.sql(f"copy ({old} union all {new} union all {newer}) to '{folder}/merged.parquet'")
    assert lake.fills(tmp_path, since) == apart
    assert [(fill.file, fill.rows, fill.values["name"], fill.values["count_star"]) for fill in apart] == [
        ("new.csv", 4, 2, 0),
        ("newer.csv", 4, 2, 0),
    ]

"""`make doctor` compares raw's columns and their types with those that the dbt project declares."""

import pytest

from commands.doctor.airbyte import sources
from commands.doctor.raw_types import raw_types
from tests.integration.dbt.project import PROJECT

DECLARED = {"flights": {"flight": "bigint", "time_hour": "timestamptz", "tailnum": "varchar", "temp": "double"}}
TYPED = {"flight": "BIGINT", "time_hour": "TIMESTAMP WITH TIME ZONE", "tailnum": "VARCHAR", "temp": "DOUBLE"}
OF_SNOWFLAKE = {"flight": "NUMBER", "time_hour": "TIMESTAMP_TZ", "tailnum": "TEXT", "temp": "FLOAT"}


@pytest.mark.parametrize("raw", [TYPED, OF_SNOWFLAKE])
def test_typed_columns_are_well(raw: dict[str, str]) -> None:
    (finding,) = raw_types(DECLARED, {"flights": raw}, "RAW")
    assert finding.state == "ok"
    assert "0 of them are text" in finding.said


@pytest.mark.parametrize("text", ["TEXT", "VARCHAR", "VARCHAR(16777216)"])
def test_columns_of_text_are_well_and_named(text: str) -> None:
    (finding,) = raw_types(DECLARED, {"flights": dict.fromkeys(DECLARED["flights"], text)}, "RAW")
    assert finding.state == "ok"
    assert "3 of them are text: flights.flight, flights.time_hour, flights.temp" in finding.said


@pytest.mark.parametrize(
    ("column", "type_"),
    [
        ("flight", "ARRAY"),
        ("flight", "BIGINT[]"),
        ("temp", "OBJECT"),
        ("time_hour", "BIGINT"),
        ("flight", "BOOLEAN"),
        ("tailnum", "STRUCT(a BIGINT)"),
        ("flight", "VARIANT"),
    ],
)
def test_a_type_that_cannot_be_cast_fails_with_the_column_and_both_types(column: str, type_: str) -> None:
    (finding,) = raw_types(DECLARED, {"flights": {**TYPED, column: type_}}, "RAW")
    assert finding.state == "fail"
    assert f"RAW.flights has {column} as {type_}, which staging cannot cast to {DECLARED['flights'][column]}" in (
        finding.said
    )
    assert "sources.yml" in finding.fix


def test_nested_columns_that_staging_takes_as_json_are_named_with_the_type_that_airbyte_gave_them() -> None:
    declared = {"orders": {"id": "bigint", "item": "json", "tags": "json", "old": "json"}}
    raw = {"orders": {"id": "NUMBER", "item": "OBJECT", "tags": "ARRAY", "old": "TEXT"}}
    (finding,) = raw_types(declared, raw, "RAW")
    assert finding.state == "ok"
    assert "1 of them are text: orders.old; 2 are nested: orders.item (OBJECT), orders.tags (ARRAY)" in finding.said
    (finding,) = raw_types(declared, {"orders": {**raw["orders"], "item": "NUMBER"}}, "RAW")
    assert "RAW.orders has item as NUMBER, which staging cannot cast to json" in finding.said


def test_columns_that_are_missing_fail_by_their_names() -> None:
    (finding,) = raw_types(DECLARED, {"flights": {"flight": "BIGINT", "temp": "DOUBLE"}}, "RAW")
    assert (finding.state, finding.said) == ("fail", "RAW.flights has no column time_hour, tailnum")


def test_tables_that_were_never_loaded_are_not_judged_by_their_types() -> None:
    assert list(raw_types(DECLARED, {}, "RAW")) == []


def test_each_source_of_the_project_declares_its_columns_with_types_that_staging_casts() -> None:
    for table, columns in sources(PROJECT).items():
        (finding,) = raw_types({table: columns}, {table: dict.fromkeys(columns, "VARCHAR")}, "raw")
        assert finding.state == "ok"

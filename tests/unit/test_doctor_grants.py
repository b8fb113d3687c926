"""What a Snowflake role lacks is read from the grants that Snowflake shows."""

import pytest

from blocks.connections import SnowflakeConnection
from services.doctor.warehouse import missing_grants

BLOCK = SnowflakeConnection(database="FLIGHTS", schema="MARTS", warehouse="TRANSFORMING", role="TRANSFORMER")
LEAST = [
    ("USAGE", "WAREHOUSE", "TRANSFORMING"),
    ("USAGE", "DATABASE", "FLIGHTS"),
    ("CREATE SCHEMA", "DATABASE", "FLIGHTS"),
    ("USAGE", "SCHEMA", "FLIGHTS.RAW"),
]
OWNER = [
    ("OWNERSHIP", "WAREHOUSE", "TRANSFORMING"),
    ("OWNERSHIP", "DATABASE", "FLIGHTS"),
    ("OWNERSHIP", "SCHEMA", 'FLIGHTS."RAW"'),
]
READY_SCHEMA = [
    ("USAGE", "WAREHOUSE", "TRANSFORMING"),
    ("USAGE", "DATABASE", "FLIGHTS"),
    *(
        (privilege, "SCHEMA", f"FLIGHTS.{schema}")
        for schema in ("MARTS", "MARTS_PUBLISHED", "MARTS_STAGING", "MARTS_SNAPSHOTS")
        for privilege in ("USAGE", "CREATE TABLE", "CREATE VIEW")
    ),
    ("USAGE", "SCHEMA", "FLIGHTS.RAW"),
]


def rows(grants: list[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [dict(zip(("privilege", "granted_on", "name"), each, strict=True)) for each in grants]


@pytest.mark.parametrize("grants", [LEAST, OWNER, READY_SCHEMA], ids=["makes its schema", "owner", "has its schema"])
def test_a_role_that_can_do_what_dbt_does_lacks_nothing(grants: list[tuple[str, str, str]]) -> None:
    assert missing_grants(rows(grants), BLOCK) == []


@pytest.mark.parametrize("grants", [LEAST, READY_SCHEMA], ids=["makes its schema", "has its schema"])
def test_each_grant_that_is_taken_away_is_told_by_what_it_was_on(grants: list[tuple[str, str, str]]) -> None:
    for gone in grants:
        missing = missing_grants(rows([each for each in grants if each != gone]), BLOCK)
        assert any(gone[0].split()[0] in each or gone[2].split(".")[-1] in each for each in missing), gone

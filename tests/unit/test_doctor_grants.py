"""What a Snowflake role lacks is read from the grants that Snowflake shows."""

import pytest

from blocks.systems import SnowflakeConnection
from commands.doctor.warehouse import Grant, effective_grants, missing_grants

BLOCK = SnowflakeConnection(database="FLIGHTS", schema="MARTS", warehouse="TRANSFORMING", role="TRANSFORMER")
SOURCES = {"flights", "airlines"}
LEAST = [
    ("USAGE", "WAREHOUSE", "TRANSFORMING"),
    ("USAGE", "DATABASE", "FLIGHTS"),
    ("CREATE SCHEMA", "DATABASE", "FLIGHTS"),
    ("USAGE", "SCHEMA", "FLIGHTS.RAW"),
    ("SELECT", "TABLE", "FLIGHTS.RAW.FLIGHTS"),
    ("SELECT", "TABLE", 'FLIGHTS.RAW."AIRLINES"'),
]
OWNER = [
    ("OWNERSHIP", "WAREHOUSE", "TRANSFORMING"),
    ("OWNERSHIP", "DATABASE", "FLIGHTS"),
    ("OWNERSHIP", "SCHEMA", 'FLIGHTS."RAW"'),
    ("OWNERSHIP", "TABLE", "FLIGHTS.RAW.FLIGHTS"),
    ("OWNERSHIP", "TABLE", "FLIGHTS.RAW.AIRLINES"),
]
READY_SCHEMA = [
    ("USAGE", "WAREHOUSE", "TRANSFORMING"),
    ("USAGE", "DATABASE", "FLIGHTS"),
    *(
        (privilege, "SCHEMA", f"FLIGHTS.{schema}")
        for schema in ("MARTS", "MARTS_STAGING", "MARTS_INTERMEDIATE", "MARTS_SNAPSHOTS")
        for privilege in ("USAGE", "CREATE TABLE", "CREATE VIEW")
    ),
    ("USAGE", "SCHEMA", "FLIGHTS.MARTS_PUBLISHED"),
    ("CREATE TABLE", "SCHEMA", "FLIGHTS.MARTS_PUBLISHED"),
    ("USAGE", "SCHEMA", "FLIGHTS.RAW"),
    ("SELECT", "VIEW", "FLIGHTS.RAW.FLIGHTS"),
    ("SELECT", "TABLE", "FLIGHTS.RAW.AIRLINES"),
]


def rows(grants: list[tuple[str, str, str]]) -> list[Grant]:
    return [dict(zip(("privilege", "granted_on", "name"), each, strict=True)) for each in grants]


@pytest.mark.parametrize("grants", [LEAST, OWNER, READY_SCHEMA], ids=["makes its schema", "owner", "has its schema"])
def test_a_role_that_can_do_what_dbt_does_lacks_nothing(grants: list[tuple[str, str, str]]) -> None:
    assert missing_grants(rows(grants), BLOCK, SOURCES, SOURCES) == []


@pytest.mark.parametrize("grants", [LEAST, READY_SCHEMA], ids=["makes its schema", "has its schema"])
def test_each_grant_that_is_taken_away_is_told_by_what_it_was_on(grants: list[tuple[str, str, str]]) -> None:
    for gone in grants:
        missing = missing_grants(rows([each for each in grants if each != gone]), BLOCK, SOURCES, SOURCES)
        assert any(gone[0].split()[0] in each or gone[2].split(".")[-1] in each for each in missing), gone


@pytest.mark.parametrize(
    ("coming", "there", "missing"),
    [
        (("SELECT", "TABLE", "FLIGHTS.RAW.<TABLE>"), set(), []),
        (("SELECT", "TABLE", "FLIGHTS.<TABLE>"), set(), []),
        (("CREATE TABLE", "SCHEMA", "FLIGHTS.RAW"), set(), []),
        (("SELECT", "TABLE", "FLIGHTS.RAW.<TABLE>"), {"flights"}, ["SELECT on table FLIGHTS.RAW.FLIGHTS"]),
        (("INSERT", "TABLE", "FLIGHTS.RAW.<TABLE>"), set(), ["SELECT on table FLIGHTS.RAW.FLIGHTS"]),
        (("SELECT", "TABLE", "FLIGHTS.MARTS.<TABLE>"), set(), ["SELECT on table FLIGHTS.RAW.FLIGHTS"]),
    ],
)
def test_a_grant_on_future_tables_is_enough_for_a_table_to_come_alone(
    coming: tuple[str, str, str], there: set[str], missing: list[str]
) -> None:
    grants = [*(each for each in LEAST if each[2] != "FLIGHTS.RAW.FLIGHTS"), coming]
    assert missing_grants(rows(grants), BLOCK, SOURCES, there) == missing


def test_a_role_has_what_the_roles_granted_to_it_have_through_all_levels_and_circles() -> None:
    """Snowflake shows what was granted to a role itself alone; what it inherits is asked of each role."""
    shown = {
        'show grants to role "TRANSFORMER"': [LEAST[0], ("USAGE", "ROLE", "analyst")],
        'show grants to role "analyst"': [("USAGE", "DATABASE_ROLE", 'FLIGHTS."Readers"'), LEAST[2]],
        'show grants to database role "FLIGHTS"."Readers"': [*LEAST[3:5], ("USAGE", "ROLE", "TRANSFORMER")],
        'show grants to role "PUBLIC"': [LEAST[1], ("OWNERSHIP", "ROLE", "ADMINISTRATOR")],
    }
    future = [{"privilege": "SELECT", "grant_on": "TABLE", "name": "FLIGHTS.RAW.<TABLE>"}]
    asked: list[str] = []

    def show(query: str) -> list[Grant]:
        asked.append(query)
        if query.startswith("show future"):
            return [*future] if "Readers" in query else []
        return rows(shown[query])

    had = effective_grants(show, "TRANSFORMER")
    assert missing_grants(had, BLOCK, SOURCES, {"flights"}) == []
    assert sorted(each for each in asked if "future" not in each) == sorted(shown)

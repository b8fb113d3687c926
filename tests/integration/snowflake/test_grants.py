"""The emulator knows roles and grants: what a role may not do on Snowflake fails here, too."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from snowflake.connector.errors import DatabaseError, ProgrammingError

from blocks.snowflake_warehouse import SnowflakeWarehouse
from blocks.systems import SnowflakeConnection
from blocks.warehouse import PublishFailed
from commands.doctor.warehouse import snowflake_warehouse
from services.snowflake.access import Access
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, running_emulator
from tests.readme import PROJECT

NAMES = {"database": "DATA_PLATFORM", "schema": "ANALYTICS"}
REFUSED = "not authorized|Insufficient privileges"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("grants"), user=USER, password=PASSWORD) as emulator:
        set_up(emulator)
        yield emulator


def set_up(emulator: Emulator) -> None:
    """Run the statements of docs/production for the database, and let the tests' user act in each role."""
    lines = (PROJECT / "docs/production/snowflake-grants.sql").read_text()
    statements = [each for each in re.sub(r"--.*", "", lines).split(";") if each.strip()]
    with emulator.connect(database=None, schema=None, role="ACCOUNTADMIN") as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        for role in ("LOADER", "TRANSFORMER", "READER"):
            cursor.execute(f"grant role DATA_PLATFORM_{role} to user {USER}")


def run(emulator: Emulator, role: str, *statements: str) -> list[tuple[Any, ...]]:
    with emulator.connect(role=f"DATA_PLATFORM_{role}", **NAMES) as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()]  # type: ignore[arg-type]


def transformer(emulator: Emulator) -> SnowflakeConnection:
    """The platform's block, in the role of docs/production."""
    address = {"host": "127.0.0.1", "port": emulator.port, "protocol": "http", "account": "org-account"}
    names = {"user": USER, "role": "DATA_PLATFORM_TRANSFORMER", "warehouse": "DATA_PLATFORM"} | NAMES
    return SnowflakeConnection(password=SecretStr(PASSWORD), **names, **address)


def publish(emulator: Emulator) -> None:
    SnowflakeWarehouse(transformer(emulator).get_connection, raw_schema="RAW").publish()


def readers(emulator: Emulator) -> list[tuple[str, str]]:
    """What `make doctor` says of the readers."""
    found = snowflake_warehouse(transformer(emulator), {})
    return [(each.state, each.said) for each in found if each.check == "snowflake readers"]


def test_readers_can_read_each_table_that_is_published_for_the_first_time_or_again(emulator: Emulator) -> None:
    run(emulator, "TRANSFORMER", "create or replace transient table first as select 1 as a")
    publish(emulator)
    assert run(emulator, "READER", "select a from analytics_published.first") == [(1,)]
    statements = ("create or replace transient table first as select 2 as a", "create transient table second (a int)")
    run(emulator, "TRANSFORMER", *statements)
    publish(emulator)
    assert run(emulator, "READER", "select a from analytics_published.first") == [(2,)]
    assert run(emulator, "READER", "select a from analytics_published.second") == []


def test_readers_can_read_a_renamed_table_and_after_a_publication_that_failed_what_they_could_before(
    emulator: Emulator,
) -> None:
    run(emulator, "TRANSFORMER", "create or replace transient table plain as select 1 as a")
    publish(emulator)
    run(emulator, "TRANSFORMER", "alter table plain rename to renamed")
    publish(emulator)
    assert run(emulator, "READER", "select a from analytics_published.renamed") == [(1,)]
    run(emulator, "TRANSFORMER", "create or replace transient table renamed as select 2 as a")
    create = "create table on schema data_platform.analytics_published"
    admin(emulator, f"revoke {create} from role DATA_PLATFORM_TRANSFORMER")
    with pytest.raises(PublishFailed, match="Grant the role USAGE and CREATE TABLE"):
        publish(emulator)
    assert run(emulator, "READER", "select a from analytics_published.renamed") == [(1,)]
    admin(emulator, f"grant {create} to role DATA_PLATFORM_TRANSFORMER")
    publish(emulator)
    assert run(emulator, "READER", "select a from analytics_published.renamed") == [(2,)]


def test_the_readers_role_has_a_warehouse_by_which_doctor_reads_too(emulator: Emulator) -> None:
    reading = "use warehouse DATA_PLATFORM_READING"
    assert run(emulator, "READER", reading, "select current_warehouse()") == [("DATA_PLATFORM_READING",)]
    grants = run(emulator, "READER", "show grants to role DATA_PLATFORM_READER")
    assert [(row[1], row[3]) for row in grants if row[2] == "WAREHOUSE"] == [("USAGE", "DATA_PLATFORM_READING")]


def test_a_table_that_was_published_without_any_grant_gets_the_future_ones(emulator: Emulator) -> None:
    made = "create or replace transient table third as select 1 as a"
    clone = "create or replace transient table analytics_published.third clone analytics.third copy grants"
    run(emulator, "TRANSFORMER", made, clone)
    with pytest.raises(ProgrammingError, match=REFUSED):
        run(emulator, "READER", "select a from analytics_published.third")
    publish(emulator)
    assert run(emulator, "READER", "select a from analytics_published.third") == [(1,)]


def test_a_grant_that_a_person_gave_on_a_published_table_stays(emulator: Emulator) -> None:
    run(emulator, "TRANSFORMER", "create or replace transient table fourth as select 1 as a")
    publish(emulator)
    role = "grant select on table analytics_published.fourth to role DATA_PLATFORM_LOADER"
    run(emulator, "TRANSFORMER", role)
    publish(emulator)
    grants = run(emulator, "TRANSFORMER", "show grants on table analytics_published.fourth")
    assert {(row[1], row[5]) for row in grants} == {
        ("OWNERSHIP", "DATA_PLATFORM_TRANSFORMER"),
        ("SELECT", "DATA_PLATFORM_READER"),
        ("SELECT", "DATA_PLATFORM_LOADER"),
    }


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("READER", "select * from analytics.secret"),
        ("READER", "create table analytics_published.mine (a int)"),
        ("READER", "create schema mine"),
        ("READER", "grant select on table analytics.secret to role DATA_PLATFORM_READER"),
        ("READER", "create role mine"),
        ("LOADER", "select * from analytics.secret"),
        ("TRANSFORMER", "insert into raw.loaded values (1)"),
        ("TRANSFORMER", "drop table raw.loaded"),
        ("TRANSFORMER", "create or replace table raw.loaded (a int)"),
        ("TRANSFORMER", "create view analytics_published.v as select 1 as a"),
        ("TRANSFORMER", "use role ACCOUNTADMIN"),
        ("TRANSFORMER", "grant select on future tables in schema raw to role DATA_PLATFORM_READER"),
    ],
)
def test_a_role_may_do_only_what_it_was_granted(emulator: Emulator, role: str, statement: str) -> None:
    run(emulator, "LOADER", "create table if not exists raw.loaded (a int)")
    run(emulator, "TRANSFORMER", "create table if not exists secret as select 1 as a")
    with pytest.raises(ProgrammingError, match=f"{REFUSED}|not assigned"):
        run(emulator, role, statement)


def test_a_grant_is_taken_back_by_revoke_and_goes_with_its_table(emulator: Emulator) -> None:
    read = "select a from analytics.shared"
    run(emulator, "TRANSFORMER", "create or replace table shared as select 1 as a")
    admin(emulator, "grant usage on schema data_platform.analytics to role DATA_PLATFORM_READER")
    grant = "grant select on table analytics.shared to role DATA_PLATFORM_READER"
    for undo in (
        ["revoke select on table analytics.shared from role DATA_PLATFORM_READER"],
        ["create or replace table shared as select 1 as a"],
        ["drop table shared", "create table shared as select 1 as a"],
    ):
        run(emulator, "TRANSFORMER", grant)
        assert run(emulator, "READER", read) == [(1,)]
        run(emulator, "TRANSFORMER", *undo)
        with pytest.raises(ProgrammingError, match=REFUSED):
            run(emulator, "READER", read)
    kept = ["create or replace table shared copy grants as select 1 as a", "alter table shared rename to shared_too"]
    run(emulator, "TRANSFORMER", grant, *kept)
    assert run(emulator, "READER", "select a from analytics.shared_too") == [(1,)]


def test_doctor_reads_the_published_tables_as_their_readers_do(emulator: Emulator) -> None:
    publish(emulator)
    [(state, said)] = [each for each in readers(emulator) if "DATA_PLATFORM_READER" in each[1]]
    assert state == "ok"
    assert "reads" in said
    usage = "usage on schema data_platform.analytics_published"
    admin(emulator, f"revoke {usage} from role DATA_PLATFORM_READER")
    [(state, said)] = [each for each in readers(emulator) if "DATA_PLATFORM_READER" in each[1]]
    admin(emulator, f"grant {usage} to role DATA_PLATFORM_READER")
    assert state == "fail"
    assert "cannot read" in said


def test_doctor_names_a_published_table_that_nobody_may_read(emulator: Emulator) -> None:
    run(emulator, "TRANSFORMER", "create transient table analytics_published.unread clone analytics.secret copy grants")
    assert [state for state, said in readers(emulator) if "UNREAD" in said and "no role other" in said] == ["warn"]
    run(emulator, "TRANSFORMER", "drop table analytics_published.unread")


def admin(emulator: Emulator, *statements: str) -> None:
    with emulator.connect(role="ACCOUNTADMIN") as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_a_user_logs_in_only_with_a_role_that_was_granted_to_it(emulator: Emulator) -> None:
    admin(emulator, "create role stranger")
    with pytest.raises(DatabaseError, match="does not exist or not authorized"):
        emulator.connect(role="STRANGER")


def test_no_session_opens_with_a_role_that_does_not_exist(emulator: Emulator) -> None:
    admin(emulator, "create role gone", f"grant role gone to user {USER}", "drop role gone")
    for role in ("DATA_PLATFORM_TRANSFORMR", "R", "GONE"):
        with pytest.raises(DatabaseError, match=f"Role '{role}' specified in the connect string does not exist"):
            emulator.connect(role=role)
    (finding,) = snowflake_warehouse(transformer(emulator).model_copy(update={"role": "NO_SUCH"}), {})
    assert (finding.check, finding.state) == ("snowflake session", "fail")
    assert "Role 'NO_SUCH'" in finding.said
    assert "SNOWFLAKE_ROLE" in finding.fix


def test_a_warehouse_that_does_not_exist_cannot_be_used(emulator: Emulator) -> None:
    with emulator.connect(role="ACCOUNTADMIN") as session, session.cursor() as cursor:
        cursor.execute("use warehouse DATA_PLATFORM_LOADING")
        assert cursor.execute("select current_warehouse()").fetchall() == [("DATA_PLATFORM_LOADING",)]  # type: ignore[union-attr]
        with pytest.raises(ProgrammingError, match="Warehouse 'NO_SUCH' does not exist"):
            cursor.execute("use warehouse no_such")


def test_a_warehouse_of_the_profile_that_does_not_exist_is_named(emulator: Emulator) -> None:
    well, wrong = (
        next(iter(snowflake_warehouse(transformer(emulator).model_copy(update={"warehouse": name}), {})))
        for name in ("data_platform", "NO_SUCH")
    )
    assert (well.state, wrong.state) == ("ok", "fail")
    assert "role DATA_PLATFORM_TRANSFORMER" in well.said
    assert "Correct SNOWFLAKE_WAREHOUSE" in wrong.fix


def test_grants_survive_a_kill(emulator: Emulator) -> None:
    before = run(emulator, "READER", "show grants to role DATA_PLATFORM_READER")
    emulator.kill()
    emulator.start()
    assert before
    assert run(emulator, "READER", "show grants to role DATA_PLATFORM_READER") == before


def test_a_role_may_read_the_view_that_it_made(tmp_path: Path) -> None:
    access = Access(tmp_path / "access.json", roles=["MAKER", "OTHER"])
    access.add_object("VIEW", "D.S.V", "MAKER")
    assert access.has("MAKER", "SELECT", "TABLE", "D.S.V")
    assert not access.has("OTHER", "SELECT", "TABLE", "D.S.V")

"""The emulator lets in whom it should, keeps what it is given, and fails as the real connector expects."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from snowflake.connector.errors import DatabaseError, ProgrammingError

from blocks.dbt.project import Dbt
from blocks.snowflake_sql import ask
from blocks.snowflake_warehouse import SnowflakeWarehouse
from blocks.systems import SnowflakeConnection
from services.snowflake.logins import JWT, refusal
from services.snowflake.settings import Settings
from tests.integration.dbt.project import PROJECT
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, pem, public_pem, running_emulator

TOKEN = "canary-of-the-oauth-token"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def emulator(key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    settings = {"user": USER, "password": PASSWORD, "public_key": public_pem(key), "oauth_token": TOKEN}
    names = {"account": "org-account", "role": "R", "database": "FLIGHTS"}
    with running_emulator(tmp_path_factory.mktemp("emulator"), **settings, **names) as emulator:
        with emulator.connect() as session, session.cursor() as cursor:
            cursor.execute("create schema public")
        yield emulator


def block(emulator: Emulator, **changes: Any) -> SnowflakeConnection:
    """The platform's block of a profile whose warehouse the emulator is."""
    names = {"account": "org-account", "database": "FLIGHTS", "schema": "PUBLIC", "warehouse": "W", "role": "R"}
    address = {"host": "127.0.0.1", "port": emulator.port, "protocol": "http"}
    return SnowflakeConnection(**names | address | {"user": USER} | changes)


# -- logins --------------------------------------------------------------------------------------------


def test_the_platform_logs_in_by_password_oauth_token_or_key_pair_from_a_value_or_a_file(
    emulator: Emulator, key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    (tmp_path / "key.p8").write_text(pem(key))
    for way in (
        {"password": PASSWORD},
        {"oauth_token": TOKEN},
        {"private_key": pem(key)},
        {"private_key_path": str(tmp_path / "key.p8")},
        {"private_key": pem(key, "open sesame"), "private_key_passphrase": "open sesame"},
    ):
        with block(emulator, **way).get_connection() as session, session.cursor() as cursor:
            assert cursor.execute("select 1").fetchall() == [(1,)], way.keys()


@pytest.mark.filterwarnings("ignore:The 'insecure_mode' connection property is deprecated")
@pytest.mark.parametrize("way", ["oauth_token", "private_key"])
def test_dbt_logs_in_without_a_password(
    emulator: Emulator, key: rsa.RSAPrivateKey, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path))
    secret = {"oauth_token": TOKEN, "private_key": pem(key)}[way]
    variables = block(emulator, **{way: secret}).variables() | {"FRESHNESS_THRESHOLD_HOURS": "25"}
    Dbt(PROJECT, "snowflake", variables).run("debug")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"password": "another"}, "Incorrect username or password"),
        ({"password": PASSWORD, "user": "someone"}, "Incorrect username or password"),
        ({"password": PASSWORD, "account": "another"}, "Incorrect username or password"),
        ({"password": PASSWORD, "role": "ANOTHER"}, "Role 'ANOTHER' specified in the connect string does not exist"),
        ({"oauth_token": "another"}, "Invalid OAuth access token"),
        ({"private_key": "another"}, "JWT token is invalid"),
    ],
)
def test_whoever_brings_something_wrong_is_refused_in_snowflakes_words(
    emulator: Emulator, wrong: dict[str, str], said: str
) -> None:
    if "private_key" in wrong:
        wrong = {"private_key": pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))}
    with pytest.raises(DatabaseError, match=said):
        block(emulator, **wrong).get_connection()


def test_a_token_is_good_with_its_users_key_account_name_and_an_end_alone(key: rsa.RSAPrivateKey) -> None:
    settings = Settings(account="org-account", user=USER, public_key=public_pem(key))
    good = {"sub": f"ORG-ACCOUNT.{USER.upper()}", "exp": time.time() + 60}

    def refused(settings: Settings, claims: dict[str, Any]) -> bool:
        token = jwt.encode(claims, pem(key), "RS256")
        login = {"ACCOUNT_NAME": "org-account", "AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token}
        return refusal(settings, login, {}) == JWT

    assert not refused(settings, good)
    assert refused(settings, good | {"exp": time.time() - 60})
    assert refused(settings, good | {"sub": "ORG-ACCOUNT.SOMEONE"})
    assert refused(settings, good | {"sub": f"ANOTHER.{USER.upper()}"})
    assert refused(settings, {"sub": good["sub"]})
    assert refused(settings, {"exp": good["exp"]})
    assert refused(Settings(account="org-account", user=USER, password=SecretStr(PASSWORD)), good)


def test_a_misspelt_database_is_not_made(emulator: Emulator) -> None:
    refused = pytest.raises(ProgrammingError, match="does not have a current database")
    with emulator.connect(database="FLIGTHS") as session, session.cursor() as cursor, refused:
        cursor.execute("create table public.anything (id int)")


def test_a_session_tells_its_query_tag_and_no_secret_reaches_the_log(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "0a1b2c3d-0000-4000-8000-000000000000")
    monkeypatch.setattr("blocks.systems.flow_run.id", "0a1b2c3d-0000-4000-8000-000000000000", raising=False)
    block(emulator, oauth_token=SecretStr(TOKEN)).get_connection().close()
    block(emulator, password=SecretStr(PASSWORD)).get_connection().close()
    assert "query tag prefect flow run 0a1b2c3d-0000-4000-8000-000000000000" in (log := emulator.log())
    assert not [secret for secret in (PASSWORD, TOKEN) if secret in log]


def test_two_ways_to_log_in_are_an_error_that_names_them(emulator: Emulator) -> None:
    with pytest.raises(Exception, match="SNOWFLAKE_PASSWORD and SNOWFLAKE_OAUTH_TOKEN are all set"):
        block(emulator, password=PASSWORD, oauth_token=TOKEN).get_connection()


# -- statements ----------------------------------------------------------------------------------------


def test_a_merge_inside_a_transaction_counts_what_it_did_and_can_be_taken_back(emulator: Emulator) -> None:
    merge = """
        merge into counts as t using (select 1 as id, 10 as n union all select 2, 20) as s on t.id = s.id
        when matched then update set n = s.n when not matched then insert (id, n) values (id, n)
    """
    with emulator.connect() as session, session.cursor() as cursor:
        cursor.execute("create or replace table counts (id int, n int)")
        cursor.execute("insert into counts values (1, 1)")
        for end, expected in (("rollback", [(1, 1)]), ("commit", [(1, 10), (2, 20)])):
            cursor.execute("begin")
            cursor.execute(merge)
            assert cursor.rowcount == 2
            cursor.execute(end)
            assert cursor.execute("select * from counts order by id").fetchall() == expected


def test_a_temporary_table_may_have_a_qualified_name(emulator: Emulator) -> None:
    with emulator.connect() as session, session.cursor() as cursor:
        for _ in range(2):
            cursor.execute("create or replace temporary table flights.public.passing as select 1 as id")
        assert cursor.execute("select id from passing").fetchall() == [(1,)]


def test_a_query_tag_can_be_set_and_unset(emulator: Emulator) -> None:
    with emulator.connect() as session, session.cursor() as cursor:
        for statement in ("alter session set query_tag = 'mine'", "alter session unset query_tag"):
            assert cursor.execute(statement).fetchall() == [("Statement executed successfully.",)]


def test_a_session_may_cancel_its_queries_as_dbt_does_with_fail_fast(emulator: Emulator) -> None:
    with emulator.connect() as session, session.cursor() as cursor:
        comment = '/* {"app": "dbt"} */'  # which dbt puts in front of it
        query = f"{comment} select system$cancel_all_queries({session.session_id})"
        assert cursor.execute(query).fetchall()  # type: ignore[union-attr]


def test_dml_and_ddl_move_the_time_at_which_a_table_was_last_altered(emulator: Emulator) -> None:
    query = "select table_name, table_type, last_altered from information_schema.tables where table_schema = 'TIMES'"
    with emulator.connect() as session, session.cursor() as cursor:

        def times() -> dict[tuple[str, str], object]:
            return {(name, kind): altered for name, kind, altered in cursor.execute(query).fetchall()}  # type: ignore[union-attr, misc]

        for statement in (
            "create schema times",
            "create table times.t (a int)",
            "create table times.u (a int)",
            "create view times.v as select a from times.t",
        ):
            cursor.execute(statement)
        before = times()
        assert before.keys() == {("T", "BASE TABLE"), ("U", "BASE TABLE"), ("V", "VIEW")}
        for statement in (
            "insert into times.t values (1)",
            "update times.t set a = 2",
            "merge into times.t using (select 2 as b) as s on t.a = s.b when matched then update set a = 3",
            "delete from times.t",
            "alter table times.t add column c int",
            "create or replace table times.t as select a from times.u",
        ):
            cursor.execute(statement)
            cursor.execute("select * from times.u").fetchall()
            now = times()
            assert {name for name, altered in now.items() if altered != before[name]} == {("T", "BASE TABLE")}, (
                statement
            )
            before = now


def test_readers_see_the_tables_that_were_published_last_and_no_view(emulator: Emulator) -> None:
    build = block(emulator, schema="BUILD", password=SecretStr(PASSWORD))
    warehouse = SnowflakeWarehouse(build.get_connection, raw_schema="RAW")
    with emulator.connect() as session, session.cursor() as cursor:
        cursor.execute("create schema build")
        cursor.execute("create or replace transient table build.t as select 1::number(38, 0) as a, 'x'::varchar as b")
        cursor.execute("create view build.v as select a from build.t")
        assert warehouse.publish() == "org-account: FLIGHTS.BUILD_PUBLISHED"
        described = cursor.execute("describe table build.t").fetchall()
        cursor.execute("insert into build.t values (2, 'y')")
        assert emulator.rows("select a, b from build_published.t") == [(1, "x")]
        warehouse.publish()
        assert emulator.rows("select a, b from build_published.t order by a") == [(1, "x"), (2, "y")]
        assert cursor.execute("describe table build_published.t").fetchall() == described
    tables = "select table_name from information_schema.tables where table_schema = 'BUILD_PUBLISHED'"
    assert emulator.rows(tables) == [("T",)]
    assert ask(build, "select count(*) from t").rows == [(2,)]


@pytest.mark.parametrize("statement", ["grant select on table t to role r", "select no_such_function()", "selec 1"])
def test_what_the_emulator_cannot_run_is_an_error_and_the_session_lives_on(emulator: Emulator, statement: str) -> None:
    with emulator.connect() as session, session.cursor() as cursor:
        with pytest.raises(ProgrammingError):
            cursor.execute(statement)
        assert cursor.execute("select 1").fetchall() == [(1,)]


# -- what it keeps -------------------------------------------------------------------------------------


def test_tables_comments_and_staged_files_survive_a_kill(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1\n2\n")
    with emulator.connect() as session, session.cursor() as cursor:
        cursor.execute("create or replace table kept (id int) comment = 'what it is'")
        cursor.execute("create or replace stage files")
        cursor.execute(f"put file://{tmp_path}/rows.csv @files")
        cursor.execute("copy into kept from @files file_format = (type = csv)")
    emulator.kill()
    emulator.start()
    assert emulator.rows("select count(*) from kept") == [(2,)]
    assert emulator.rows("select comment from information_schema.tables where table_name = 'KEPT'") == [("what it is",)]
    assert [name for name, *_ in emulator.rows("list @files")] == ["files/rows.csv.gz"]
    with emulator.connect() as session, session.cursor() as cursor:
        cursor.execute("copy into kept from @files file_format = (type = csv)")
    assert emulator.rows("select count(*) from kept") == [(2,)]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.snowflake", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=variables, check=False)


def test_a_second_emulator_on_the_same_folder_says_so_and_ends(emulator: Emulator) -> None:
    second = run("--data", str(emulator.folder / "data"), "--port", "0")
    assert second.returncode == 2
    assert "Cannot use the data folder" in second.stderr


def test_a_user_without_a_secret_starts_nothing(tmp_path: Path) -> None:
    alone = run("--data", str(tmp_path), SNOWFLAKE_EMULATOR_USER="loader")
    assert alone.returncode == 2
    assert "SNOWFLAKE_EMULATOR_PASSWORD" in alone.stderr

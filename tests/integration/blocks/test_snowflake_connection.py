"""A connection to Snowflake opens sessions, shows what SQL finds, and knows which files have arrived."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from blocks import snowflake_sql
from blocks.errors import ConfigurationError
from blocks.snowflake_warehouse import SnowflakeWarehouse
from blocks.systems import SnowflakeConnection
from tests.integration.blocks.environment import SNOWFLAKE

# The emulator's own: DuckDB finds that it could fetch its results in a cheaper way.
pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning")


@pytest.fixture(scope="module")
def emulator() -> Iterator[dict[str, Any]]:
    """A Snowflake server in this process."""
    import fakesnow

    with fakesnow.server() as address:
        yield address


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    """One RSA key as PEM, plain and encrypted."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encryptions = {
        "plain": serialization.NoEncryption(),
        "encrypted": serialization.BestAvailableEncryption(b"open sesame"),
    }
    kind, pem = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    return {name: key.private_bytes(pem, kind, how).decode() for name, how in encryptions.items()}


def snowflake(emulator: dict[str, Any] | None = None, **changes: Any) -> SnowflakeConnection:
    address = {name: emulator[name] for name in ("host", "port", "protocol")} if emulator else {}
    values = {name.removeprefix("SNOWFLAKE_").lower(): value for name, value in SNOWFLAKE.items()}
    return SnowflakeConnection(**values | address | changes)


def test_a_password_opens_a_session(emulator: dict[str, Any]) -> None:
    with snowflake(emulator).get_connection() as session, session.cursor() as cursor:
        assert cursor.execute("select 1").fetchall() == [(1,)]
        assert (session.database, session.schema, session.user) == ("FLIGHTS", "ANALYTICS", "loader")


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize(("kind", "passphrase"), [("plain", ""), ("encrypted", "open sesame")])
def test_a_key_pair_opens_a_session_without_a_password(
    emulator: dict[str, Any], keys: dict[str, str], kind: str, passphrase: str, from_file: bool, tmp_path: Path
) -> None:
    (tmp_path / "key.p8").write_text(keys[kind])
    key = {"private_key_path": str(tmp_path / "key.p8")} if from_file else {"private_key": keys[kind]}
    block = snowflake(emulator, password="", private_key_passphrase=passphrase, **key)
    with block.get_connection() as session, session.cursor() as cursor:
        assert cursor.execute("select 1").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "change",
    [
        {"private_key": "encrypted", "private_key_passphrase": "wrong words"},
        {"private_key": "encrypted"},
        {"private_key": "no key at all"},
        {"private_key_path": "/nowhere/key.p8"},
        {"private_key": "plain", "private_key_path": "/nowhere/key.p8"},
    ],
)
def test_a_key_that_cannot_be_read_is_an_error_without_the_key_in_it(
    keys: dict[str, str], change: dict[str, str]
) -> None:
    values = {name: keys.get(value, value) for name, value in change.items()}
    with pytest.raises(ConfigurationError, match="SNOWFLAKE_PRIVATE_KEY_PATH") as caught:
        snowflake(password="", **values).get_connection()
    chain = f"{caught.value} {caught.value.__cause__!r}"
    assert not [
        text for text in ("wrong words", "BEGIN", keys["plain"][60:90], keys["encrypted"][60:90]) if text in chain
    ]


def test_sql_on_snowflake_shows_a_row_whole_where_no_terminal_bounds_it(
    emulator: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ", ".join(f"'{letter * 40}' as {letter}" for letter in "abcdef")
    assert snowflake_sql.show(snowflake(emulator), f"select {columns};")
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "aaa" in line]
    assert all(letter * 40 in row for letter in "abcdef")


def test_sql_on_snowflake_shows_values_as_they_are(
    emulator: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    values = "select '[red]' as a, '[/foo]' as b, 'x' || chr(27) || '[31my' as c, '[bold]' as \"[link]\""
    assert snowflake_sql.show(snowflake(emulator), values)
    said = capsys.readouterr().out
    assert all(text in said for text in ("[red]", "[/foo]", r"x\x1b[31my", "[bold]", "[link]"))
    assert "\x1b" not in said


def test_sql_on_snowflake_changes_nothing(emulator: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    block = snowflake(emulator)
    with block.get_connection() as session, session.cursor() as cursor:
        cursor.execute("create or replace table analytics.kept as select 1 as a")
        for statement in ("drop table analytics.kept", "with a as (select 1) delete from analytics.kept"):
            assert not snowflake_sql.show(block, statement)
            assert "was not run" in capsys.readouterr().err
        assert cursor.execute("select * from analytics.kept").fetchall() == [(1,)]


@pytest.mark.parametrize("bound", ["", " limit 1500"])
def test_sql_on_snowflake_fetches_a_bounded_number_of_rows_and_says_how_many_more_there_are(
    emulator: dict[str, Any], capsys: pytest.CaptureFixture[str], bound: str
) -> None:
    ten = "(select 1 as n" + " union all select 1" * 9 + ")"
    query = f"select row_number() over (order by 1) as r from {ten} a, {ten} b, {ten} c, {ten} d{bound}"
    assert snowflake_sql.show(snowflake(emulator), query, as_json=True)
    said = capsys.readouterr()
    assert len(json.loads(said.out)) == snowflake_sql.MOST_ROWS
    assert f"{'500' if bound else '9,000'} more rows are not shown" in said.err


def test_a_block_with_values_missing_opens_nothing() -> None:
    with pytest.raises(ConfigurationError, match="SNOWFLAKE_WAREHOUSE"):
        snowflake(warehouse="").get_connection()


def test_files_that_reached_snowflakes_raw_tables_are_found_with_their_newest_date(emulator: dict[str, Any]) -> None:
    block = snowflake(emulator)
    with block.get_connection() as session, session.cursor() as cursor:
        cursor.execute("create schema if not exists RAW")
        cursor.execute('create table RAW.FLIGHTS ("_AB_SOURCE_FILE_URL" text, "_AB_SOURCE_FILE_LAST_MODIFIED" text)')
        cursor.execute(
            "insert into RAW.FLIGHTS values ('inbound/a.csv', '2013-01-01T00:00:00Z'), "
            "('inbound/a.csv', '2013-01-02T00:00:00.000000Z'), ('inbound/other.csv', '2013-01-01T00:00:00Z'), "
            "('inbound/d.zip#b.csv', '2013-01-04T00:00:00Z')"
        )
        cursor.execute(
            'create table RAW.PLANES ("_AB_SOURCE_FILE_URL" text, "_AB_SOURCE_FILE_LAST_MODIFIED" timestamp_ntz)'
        )
        cursor.execute("insert into RAW.PLANES values ('inbound/o''brien.csv', '2013-01-03')")
        cursor.execute("create table RAW.UNRELATED (id int)")
    warehouse = SnowflakeWarehouse(block.get_connection, "RAW")
    assert warehouse.arrived(["inbound/a.csv", "inbound/o'brien.csv", "inbound/absent.csv"]) == {
        "inbound/a.csv": datetime(2013, 1, 2, tzinfo=UTC),
        "inbound/o'brien.csv": datetime(2013, 1, 3, tzinfo=UTC),
    }
    assert warehouse.arrived(["inbound/d.zip"]) == {"inbound/d.zip": datetime(2013, 1, 4, tzinfo=UTC)}
    assert warehouse.arrived([]) == {}

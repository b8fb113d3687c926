"""Blocks are saved from the environment, loaded by a profile's name, and give working clients; secrets stay secret."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import attrgetter
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from prefect import flow, get_client, task
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from blocks import snowflake_sql
from blocks.connections import Connections, connected, current
from blocks.errors import ConfigurationError, PlatformError
from blocks.saved_blocks import main
from blocks.snowflake_warehouse import SnowflakeWarehouse
from blocks.systems import AirbyteConnection, DbtConfig, S3Landing, SnowflakeConnection
from blocks.warehouse import DuckDbWarehouse
from services.airbyte.app import create_app
from services.airbyte.config_file import load_config
from services.airbyte.settings import Settings as MockSettings
from services.content import CONNECTIONS

# The emulator's own: DuckDB finds that it could fetch its results in a cheaper way.
pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning")

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
    "AWS_SESSION_TOKEN": "token-of-aws",
    "AIRBYTE_CLIENT_SECRET": "secret-of-airbyte",
    "SNOWFLAKE_PASSWORD": "secret-of-snowflake",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "secret-of-the-key",
}
SNOWFLAKE = {
    "SNOWFLAKE_ACCOUNT": "org-account",
    "SNOWFLAKE_USER": "loader",
    "SNOWFLAKE_PASSWORD": SECRETS["SNOWFLAKE_PASSWORD"],
    "SNOWFLAKE_DATABASE": "FLIGHTS",
    "SNOWFLAKE_SCHEMA": "ANALYTICS",
    "SNOWFLAKE_WAREHOUSE": "LOADING",
    "SNOWFLAKE_ROLE": "LOADER",
}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    monkeypatch.chdir(tmp_path)
    return set_all


# -- saving and loading --------------------------------------------------------------------------------


def test_blocks_are_saved_again_and_again_and_hold_the_newest_values(
    prefect_server: None, variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    variables(**SNOWFLAKE | SECRETS, DBT_TARGET="dev", SNOWFLAKE_PORT="8085")
    assert main(["--name", "x"]) == 0
    variables(AIRBYTE_CLIENT_ID="new", DBT_TARGET="snowflake")
    assert main(["--name", "x"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "saved DbtConfig.load('x')"
    airbyte, snowflake, dbt = AirbyteConnection.load("x"), SnowflakeConnection.load("x"), DbtConfig.load("x")
    assert (airbyte.client_id, airbyte.client_secret.get_secret_value()) == ("new", "secret-of-airbyte")
    assert snowflake.variables() | SNOWFLAKE == snowflake.variables()
    assert (snowflake.schema_, snowflake.port, snowflake.protocol) == ("ANALYTICS", 8085, "https")
    assert (dbt.target, dbt.project_dir) == ("snowflake", Path("dbt_project"))


def test_no_block_is_saved_without_a_name_and_the_error_says_what_to_type(
    prefect_server: None, variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "python -m blocks.connections --name production" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="production"):
        _ = Connections("production").airbyte


def test_what_flows_get_comes_from_the_profile_or_else_from_the_environment_alone(
    prefect_server: None, variables: Callable[..., None]
) -> None:
    variables(LAKE_DIR="/saved", AIRBYTE_CLIENT_ID="saved", AWS_ACCESS_KEY_ID="saved", **SNOWFLAKE)
    assert main(["--name", "saved"]) == 0
    variables(LAKE_DIR="/now", AIRBYTE_CLIENT_ID="now", AWS_ACCESS_KEY_ID="now", SNOWFLAKE_USER="now")
    for profile, expected, user in (("saved", "saved", "loader"), (None, "now", "now")):
        assert Connections(profile).landing.access_key_id == expected
        assert Connections(profile).airbyte.client_id == expected
        assert Connections(profile).dbt_config.lake_dir == Path("/", expected)
        assert Connections(profile).snowflake.user == user


def test_a_run_its_tasks_and_the_flows_within_it_keep_the_systems_that_it_began_with(
    prefect_server: None, variables: Callable[..., None]
) -> None:
    @task
    def lake() -> Path:
        return current().dbt_config.lake_dir

    @flow(persist_result=False)
    def inner(profile: str | None) -> list[Path]:
        with connected(profile):
            return [lake(), lake.submit().result()]

    @flow(persist_result=False)
    def outer(profile: str) -> list[Path]:
        with connected(profile) as connections:
            before = connections.dbt_config.lake_dir
            variables(LAKE_DIR="/later")
            assert main(["--name", profile]) == 0
            return [before, *inner(profile), *inner(None), lake()]

    variables(LAKE_DIR="/first")
    assert main(["--name", "steady"]) == 0
    first, later = Path("/first"), Path("/later")
    assert outer("steady") == [first, first, first, later, later, first]
    assert Connections("steady").dbt_config.lake_dir == later


def test_secrets_are_hidden_in_the_api_in_texts_and_in_logs(
    prefect_server: None, variables: Callable[..., None], caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    variables(**SNOWFLAKE | SECRETS)
    assert main(["--name", "hidden"]) == 0
    kinds = (S3Landing, AirbyteConnection, SnowflakeConnection)
    blocks = [kind.load("hidden") for kind in kinds]
    with get_client(sync_client=True) as client:
        documents = [
            client.read_block_document_by_name("hidden", kind.get_block_type_slug(), include_secrets=False)
            for kind in kinds
        ]
    texts = [*map(repr, blocks), *map(str, blocks), *(str(each.data) for each in documents), caplog.text]
    texts += [str(block.model_dump()) for block in blocks] + list(capsys.readouterr())
    texts.append(str(Connections("hidden").landing.access))
    assert all(documents[0].data[name] == "********" for name in ("secret_access_key", "session_token"))
    assert documents[1].data["client_secret"] == "********"
    assert all(documents[2].data[name] == "********" for name in ("password", "private_key_passphrase"))
    assert not [secret for secret in SECRETS.values() for text in texts if secret in text]


def test_an_unknown_profile_says_how_to_save_it_and_which_there_are(
    prefect_server: None, variables: Callable[..., None]
) -> None:
    assert main(["--name", "rehearsal"]) == 0
    words = r"No AirbyteConnection block is saved as 'prodution'.*blocks\.connections --name prodution.*rehearsal"
    with pytest.raises(ConfigurationError, match=words):
        _ = Connections("prodution").airbyte


def test_a_saved_block_that_no_longer_fits_is_told_with_what_is_wrong_in_it(
    prefect_server: None, variables: Callable[..., None]
) -> None:
    assert main(["--name", "old"]) == 0
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name("old", DbtConfig.get_block_type_slug())
        wrong = BlockDocumentUpdate(data={"freshness_threshold_hours": "soon"}, merge_existing_data=True)
        client.update_block_document(document.id, wrong)
    with pytest.raises(
        ConfigurationError, match=r"DbtConfig block saved as 'old'.*: freshness_threshold_hours"
    ) as caught:
        _ = Connections("old").dbt_config
    assert "python -m blocks.connections --name old" in str(caught.value)
    assert main(["--name", "old"]) == 0
    assert Connections("old").dbt_config.freshness_threshold_hours == 25


def test_a_wrong_value_is_told_and_nothing_is_saved(
    prefect_server: None, variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    variables(FRESHNESS_THRESHOLD_HOURS="soon")
    assert main(["--name", "wrong"]) == 1
    assert "The blocks were not saved" in (said := capsys.readouterr().err)
    assert "FRESHNESS_THRESHOLD_HOURS" in said
    with pytest.raises(ConfigurationError):
        _ = Connections("wrong").dbt_config


def test_a_name_that_prefect_does_not_take_is_told(
    prefect_server: None, variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--name", "My profile!"]) == 1
    assert "The blocks were not saved on http" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "cause"), [(500, "PREFECT_SERVER_ENCRYPTION_KEY has changed"), (401, "401 Unauthorized")]
)
def test_a_prefect_server_that_fails_or_refuses_is_told_with_the_likely_cause(
    status: int, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(status) as url, temporary_settings({PREFECT_API_URL: url}):
        assert main(["--name", "trial"]) == 1
        assert cause in capsys.readouterr().err


def test_blocks_that_prefect_refuses_to_give_are_told_with_what_lets_in() -> None:
    with (
        answering(401) as url,
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(PlatformError, match=r"blocks saved as 'trial'. Check PREFECT_API_AUTH_STRING"),
    ):
        _ = Connections("trial").dbt_config


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers everything alike; the URL of the API that it would have."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_PATCH = do_PUT = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_a_prefect_server_that_does_not_answer_is_named_with_how_to_start_one(
    variables: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api"
    with temporary_settings({PREFECT_API_URL: url}):
        assert main(["--name", "x"]) == 1
    said = capsys.readouterr().err
    assert url in said
    assert "Start `make dev`, then run `. data/dev/env`. For another server, set PREFECT_API_URL." in said


# -- what the blocks give ------------------------------------------------------------------------------


def test_a_loaded_landing_block_asks_as_whom_it_was_saved_for(
    prefect_server: None, variables: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    variables(AWS_ACCESS_KEY_ID="saved", AWS_SECRET_ACCESS_KEY="hush", AWS_DEFAULT_REGION="eu-central-1")
    variables(SENSOR_QUEUE_URL="https://sqs.eu-central-1.amazonaws.com/000000000000/landing-events")
    assert main(["--name", "landing"]) == 0
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    block = S3Landing.load("landing")
    for client in (block.get_client(), block.get_queue_client()):
        signed = client.generate_presigned_url(
            "list_buckets" if client.meta.service_model.service_name == "s3" else "list_queues"
        )
        assert "Credential=saved" in signed
        assert "eu-central-1" in signed


def test_a_loaded_airbyte_block_gives_a_client_that_reads_its_connection(
    prefect_server: None, variables: Callable[..., None], serve: Callable[[Any], str], s3_url: str, tmp_path: Path
) -> None:
    (connection,) = load_config(CONNECTIONS).connections
    url = serve(
        create_app(
            MockSettings(
                lake_dir=tmp_path / "lake",
                state_dir=tmp_path / "state",
                s3_endpoint_url=s3_url,
                client_id="platform",
                client_secret=SecretStr(SECRETS["AIRBYTE_CLIENT_SECRET"]),
            )
        )
    )
    variables(
        AIRBYTE_SERVER_URL=f"{url}/api/public/v1",
        AIRBYTE_CONNECTION_ID=str(connection.connectionId),
        AIRBYTE_CLIENT_ID="platform",
        AIRBYTE_CLIENT_SECRET=SECRETS["AIRBYTE_CLIENT_SECRET"],
    )
    assert main(["--name", "airbyte"]) == 0
    block = AirbyteConnection.load("airbyte")
    with block.get_client() as client:
        assert client.connection(block.connection_id).name == connection.name


def test_dbt_gets_its_files_as_absolute_paths_and_a_folder_for_the_warehouse(
    variables: Callable[..., None], tmp_path: Path
) -> None:
    variables(LAKE_DIR="lake", WAREHOUSE_PATH="new/w.duckdb", FRESHNESS_THRESHOLD_HOURS="7")
    dbt = Connections(None).dbt()
    assert dbt.variables == {
        "LAKE_DIR": str(tmp_path / "lake"),
        "WAREHOUSE_PATH": str(tmp_path / "new" / "w.duckdb"),
        "FRESHNESS_THRESHOLD_HOURS": "7",
    }
    assert (dbt.target, dbt.project_dir, (tmp_path / "new").is_dir()) == ("dev", Path("dbt_project"), True)


def test_dbts_target_decides_which_warehouse_there_is(variables: Callable[..., None]) -> None:
    local = Connections(None).warehouse()
    assert isinstance(local, DuckDbWarehouse)
    assert local.published == Path("data/published/warehouse.duckdb")
    variables(**SNOWFLAKE, DBT_TARGET="snowflake")
    remote = Connections(None).warehouse()
    assert isinstance(remote, SnowflakeWarehouse)
    assert Connections(None).dbt().variables.items() >= SNOWFLAKE.items()


@pytest.mark.parametrize(
    "ask", [Connections.dbt, Connections.warehouse, attrgetter("snowflake")], ids=["dbt", "warehouse", "snowflake"]
)
def test_snowflake_with_values_missing_names_them_all(
    variables: Callable[..., None], ask: Callable[[Connections], object]
) -> None:
    variables(DBT_TARGET="snowflake", SNOWFLAKE_ACCOUNT="org-account", SNOWFLAKE_ROLE="LOADER")
    with pytest.raises(ConfigurationError) as caught:
        ask(Connections(None))
    missing = str(caught.value).partition("missing: ")[2].partition(". Set them")[0]
    assert missing == (
        "SNOWFLAKE_USER, SNOWFLAKE_DATABASE, SNOWFLAKE_SCHEMA, SNOWFLAKE_WAREHOUSE, "
        "SNOWFLAKE_PASSWORD (or SNOWFLAKE_PRIVATE_KEY, SNOWFLAKE_PRIVATE_KEY_PATH or SNOWFLAKE_OAUTH_TOKEN)"
    )


@pytest.mark.parametrize("name", SNOWFLAKE)
def test_any_one_value_that_is_missing_is_named(
    variables: Callable[..., None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables(**SNOWFLAKE)
    monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=f"these are missing: {name}[. ]"):
        _ = Connections(None).snowflake


# -- Snowflake's authentication ------------------------------------------------------------------------


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

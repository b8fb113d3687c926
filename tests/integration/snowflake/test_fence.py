"""SQL reaches no file, no network, no extension and no setting of the machine that the emulator runs on."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import snowflake.connector
from snowflake.connector.errors import Error

from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, running_emulator

SECRET = "canary-of-a-file"
ATTACKS = [
    "select * from read_text('{file}')",
    "select * from \"read_text\"('{file}')",
    "select * from read_blob('{file}')",
    "select * from read_csv('{file}')",
    "select * from read_csv_auto('{file}')",
    "select * from read_json('{file}')",
    "select * from read_parquet('{file}')",
    "select * from parquet_scan('{file}')",
    "select * from sniff_csv('{file}')",
    "select * from parquet_metadata('{file}')",
    "select * from glob('{folder}/*')",
    "select * from '{file}'",
    'select * from "{file}"',
    "from '{file}'",
    "select * from table(read_text('{file}'))",
    "select * from query('select * from read_text(''{file}'')')",
    "select (select content from read_text('{file}'))",
    "with a as (select * from read_text('{file}')) select * from a",
    "create table stolen as select * from read_text('{file}')",
    "create view stolen as select * from read_text('{file}')",
    "insert into kept select content from read_text('{file}')",
    "describe select * from read_text('{file}')",
    "/* a comment */ select * from read_text /* another */ ('{file}')",
    "select * from identifier('{file}')",
    "select getenv('HOME')",
    "copy kept to '{folder}/written.csv'",
    "copy (select 1) to '{folder}/written.csv'",
    "copy into '{folder}/written.csv' from kept",
    "copy into 'file://{folder}/written.csv' from kept",
    "copy into kept from 'file://{folder}/' files = ('file.csv') file_format = (type = csv)",
    "copy kept from '{file}'",
    "export database '{folder}/written'",
    "import database '{folder}'",
    "attach '{folder}/written.db' as other",
    "attach '{data}/global.db' as other",
    "attach ':memory:' as other",
    "detach _fs_global",
    "install httpfs",
    "load httpfs",
    "load '{file}'",
    "create secret (type s3, key_id 'x', secret 'y')",
    "set enable_external_access = true",
    "set allowed_directories = ['/']",
    "set global threads = 1",
    "set lock_configuration = false",
    "reset lock_configuration",
    "pragma database_list",
    "pragma enable_profiling",
    "call pragma_database_list()",
    "select * from duckdb_settings()",
    "select * from duckdb_databases()",
    "select * from read_blob('{data}/databases/FLIGHTS.db')",
    "select * from read_text('http://127.0.0.1:1/')",
    "select * from read_text('{data}/stages/../../file.csv')",
    'create database "../../written"',
    "create stage \"../../written\" url = 'file://{folder}'",
]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("emulator")
    (folder / "file.csv").write_text(SECRET)
    with running_emulator(folder, user=USER, password=PASSWORD) as running:
        running.rows("create table kept (content varchar)")
        yield running


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_statement_reads_and_writes_nothing_of_the_machine(emulator: Emulator, attack: str) -> None:
    names = {"file": emulator.folder / "file.csv", "folder": emulator.folder, "data": emulator.folder / "data"}
    before = files(emulator.folder)
    try:
        said = str(emulator.rows(attack.format(**names)))
    except Error as error:
        said = str(error)
    assert SECRET not in said
    assert files(emulator.folder) == before
    assert SECRET not in str(emulator.rows("select * from kept"))
    with pytest.raises(Error):
        emulator.rows("select * from stolen")
    assert emulator.rows("select 1") == [(1,)]


def files(folder: Path) -> set[Path]:
    """All files but those that the emulator writes of itself."""
    return {each for each in folder.rglob("*") if each.suffix not in (".wal", ".log")}


def test_words_that_are_no_calls_are_let_through(emulator: Emulator) -> None:
    query = "select 'read_text(''x'')' as said, 1 as glob -- read_csv('x')"
    assert emulator.rows(query) == [("read_text('x')", 1)]


def test_a_session_opens_no_database_of_its_own_choice(emulator: Emulator) -> None:
    elsewhere = emulator.folder / "elsewhere"
    elsewhere.mkdir()
    parameters = {"FAKESNOW_DB_PATH": str(elsewhere)}
    with emulator.connect(session_parameters=parameters, database="OTHER") as session, session.cursor() as cursor:
        cursor.execute("select * from FLIGHTS.PUBLIC.kept")
        with pytest.raises(Error):
            cursor.execute(f"select * from read_text('{emulator.folder}/file.csv')")
    assert list(elsewhere.iterdir()) == []


def test_an_upload_needs_the_url_that_a_put_returned(emulator: Emulator, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{emulator.port}/fs_bucket/FLIGHTS/PUBLIC/S/attack.csv"
    for given in (url, f"{url}?signature=", f"{url}?signature={'0' * 64}"):
        assert httpx.put(given, content=b"1\n", trust_env=False).status_code == 403
    file = tmp_path / "a file%.csv"
    file.write_text("put\n")
    with emulator.connect() as session, session.cursor() as cursor:
        cursor.execute("create stage s")
        cursor.execute(f"put 'file://{file}' @s/folder auto_compress = false")
        cursor.execute("copy into kept from @s/folder file_format = (type = csv)")
        assert cursor.execute("select * from kept").fetchall() == [("put",)]  # type: ignore[union-attr]
        cursor.execute("delete from kept")
    assert list((emulator.folder / "data" / "stages").rglob("attack.csv")) == []
    assert list((emulator.folder / "data").glob("upload-*")) == []


@pytest.mark.parametrize(
    "body", ["", "[]", "null", "{}", '{"data": 1}', '{"data": {"SESSION_PARAMETERS": 1}}', "[" * 500_000]
)
def test_a_login_that_is_no_login_is_refused_and_never_an_error_of_the_server(emulator: Emulator, body: str) -> None:
    url = f"http://127.0.0.1:{emulator.port}/session/v1/login-request"
    answer = httpx.post(url, content=body, headers={"Content-Type": "application/json"}, trust_env=False)
    assert answer.status_code < 500
    assert '"token"' not in answer.text


def test_a_statement_that_is_refused_says_what_is_not_there(emulator: Emulator) -> None:
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="READ_TEXT"):
        emulator.rows("select * from read_text('/etc/hostname')")

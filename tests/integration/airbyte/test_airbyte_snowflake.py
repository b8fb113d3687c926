"""Syncs into Snowflake by stage and COPY, through Snowflake's own connector, into the emulator."""

import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pyarrow import parquet

from tests.integration.airbyte.running_mock import V1, Landing, Mock, Start
from tests.integration.airbyte.test_airbyte_dialects import mock_of
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator, pem, public_pem, running_emulator

SOURCE = "22222222-2222-4222-8222-222222222222"
WORKSPACE = "44444444-4444-4444-8444-444444444444"
MASKED = "**********"
ORDERS = "id,name,price,at,order\n1,ant,1.5,2013-01-01T10:00:00Z,x\n2,,2,2013-01-01T11:00:00Z,y\n"
APPEND, DEDUP, OVERWRITE = "incremental_append", "incremental_deduped_history", "full_refresh_overwrite"
KEY_PAIR, PASSPHRASE = "Key Pair Authentication", "open sesame"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def emulator(key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """It lets in one user with one role, by password or by key pair."""
    settings = {"user": USER, "role": "R", "password": PASSWORD, "public_key": public_pem(key)}
    with running_emulator(tmp_path_factory.mktemp("emulator"), **settings) as emulator:
        yield emulator


class Snowflake:
    """A destination in a database of its own, and what a test asks of both."""

    def __init__(self, emulator: Emulator, database: str) -> None:
        self._emulator = emulator
        self.configuration = {
            "destinationType": "snowflake",
            "host": f"http://127.0.0.1:{emulator.port}",
            "role": "R",
            "warehouse": "W",
            "database": database,
            "schema": "raw",
            "username": USER,
            "credentials": {"auth_type": "Username and Password", "password": PASSWORD},
        }

    def make(self, mock: Mock, **changes: Any) -> dict[str, Any]:
        body = {"name": "Snowflake", "workspaceId": WORKSPACE, "configuration": self.configuration | changes}
        answer = mock.http.post(f"{V1}/destinations", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def connect(self, mock: Mock, mode: str = APPEND, stream: str = "orders", **changes: Any) -> str:
        """The id of a new connection of one stream."""
        body = {
            "sourceId": SOURCE,
            "destinationId": self.make(mock, **changes)["destinationId"],
            "configurations": {"streams": [{"name": stream, "syncMode": mode}]},
        }
        answer = mock.http.post(f"{V1}/connections", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["connectionId"])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        database = self.configuration["database"]
        return self._emulator.rows(query, database=database, schema="RAW")

    def types(self, table: str) -> dict[str, str]:
        """The types of a table's columns, without Airbyte's own."""
        found = {row[0]: row[1] for row in self.rows(f"DESCRIBE TABLE {table}")}
        return {name: type_ for name, type_ in found.items() if not name.startswith("_A")}


@pytest.fixture
def warehouse(emulator: Emulator, landing: Landing) -> Snowflake:
    return Snowflake(emulator, landing.bucket.replace("-", "_"))


def test_a_removed_files_rows_go_and_it_is_read_again(warehouse: Snowflake, mock: Mock, landing: Landing) -> None:
    connection = warehouse.connect(mock)
    for name in ("a.csv", "it's b.csv"):
        landing.put(f"orders/{name}", ORDERS)
    run(mock, connection)
    answer = mock.http.post(
        "/_mock/removals", json={"bucket": landing.bucket, "key": "inbound/orders/it's b.csv"}
    ).json()
    assert answer == {"removed": {"orders": 2}}
    assert warehouse.rows("select distinct _ab_source_file_url from orders") == [("inbound/orders/a.csv",)]
    assert run(mock, connection)["rowsSynced"] == 2
    assert warehouse.rows("select count(*) from orders") == [(4,)]


def add_streams(mock: Mock, *streams: dict[str, Any]) -> None:
    known = mock.http.get(f"{V1}/sources/{SOURCE}").json()["configuration"]["streams"]
    more = {"configuration": {"streams": [*known, *streams]}}
    mock.http.patch(f"{V1}/sources/{SOURCE}", json=more).raise_for_status()


def run(mock: Mock, connection: str, job_type: str = "sync") -> dict[str, Any]:
    body = {"connectionId": connection, "jobType": job_type}
    return mock.wait(mock.http.post(f"{V1}/jobs", json=body).raise_for_status().json()["jobId"])


def test_a_sync_fills_a_typed_table_with_airbytes_columns(mock: Mock, landing: Landing, warehouse: Snowflake) -> None:
    landing.put("orders/a.csv", ORDERS)
    job = run(mock, warehouse.connect(mock))
    assert (job["status"], job["rowsSynced"]) == ("succeeded", 2), mock.attempts(job["jobId"])
    types = {row[0]: row[1] for row in warehouse.rows("DESCRIBE TABLE orders")}
    assert types["ID"] == "NUMBER(38,0)"
    assert types["AT"] == "TIMESTAMP_TZ(9)"
    assert types["_AIRBYTE_META"] == "VARIANT"
    found = 'SELECT id, name, price, "AT", "ORDER", _airbyte_meta, _airbyte_generation_id, _ab_source_file_url'
    first, second = warehouse.rows(f"{found} FROM orders ORDER BY id")
    assert first[:3] == (1, "ant", 1.5)
    assert first[3].isoformat() == "2013-01-01T10:00:00+00:00"
    assert first[4] == "x"
    assert json.loads(first[5]) == {"sync_id": job["jobId"], "changes": []}
    assert first[6:] == (0, "inbound/orders/a.csv")
    assert second[:3] == (2, None, 2.0)


def test_a_file_that_was_loaded_but_not_recorded_is_neither_lost_nor_doubled(
    start: Start, landing: Landing, warehouse: Snowflake, tmp_path: Path
) -> None:
    landing.put("orders/a.csv", ORDERS)
    with start() as mock:
        run(mock, connection := warehouse.connect(mock))
    with closing(sqlite3.connect(tmp_path / "state" / "state.sqlite")) as state, state:
        state.execute("DELETE FROM read_files")
    with start() as mock:
        assert run(mock, connection)["rowsSynced"] == 2
        assert warehouse.rows("SELECT count(*) FROM orders") == [(2,)]


def test_a_deduplicated_stream_holds_the_newest_files_last_row_of_each_key(
    mock: Mock, landing: Landing, warehouse: Snowflake
) -> None:
    connection = warehouse.connect(mock, DEDUP)
    landing.put("orders/a.csv", ORDERS)
    run(mock, connection)
    many = "".join(f"{n},n{n}-{version},{version},\n" for version in range(50) for n in range(2, 22))
    landing.put("orders/b.csv", f"id,name,price,at\n{many}")
    assert run(mock, connection)["rowsSynced"] == 1000
    last = [(1, "ant")] + [(n, f"n{n}-49") for n in range(2, 22)]
    assert warehouse.rows("SELECT id, name FROM orders ORDER BY id") == last


@pytest.mark.parametrize(
    ("deletions", "rows"), [(None, [(1, "ape")]), ("Soft delete", [(1, "ape"), (2, None), (3, None)])]
)
def test_a_deduplicated_stream_of_changes_holds_the_newest_one_of_each_key_and_deletes_as_the_destination_says(
    mock: Mock, landing: Landing, warehouse: Snowflake, deletions: str | None, rows: list[tuple[Any, ...]]
) -> None:
    add_streams(mock, {"name": "things", "primaryKey": ["id"]})
    connection = warehouse.connect(mock, DEDUP, stream="things", cdc_deletion_mode=deletions)
    header = "id,name,_ab_cdc_updated_at,_ab_cdc_deleted_at\n"
    first, second, third = (f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3))
    landing.put("things/a.csv", f"{header}1,ant,{first},\n2,bee,{first},\n3,,{first},{first}\n")
    run(mock, connection)
    landing.put("things/b.csv", f"{header}1,ape,{third},\n2,,{third},{third}\n1,late,{second},\n")
    assert run(mock, connection)["status"] == "succeeded"
    landing.put("things/c.csv", f"{header}1,later,{second},\n")
    run(mock, connection)
    assert warehouse.rows("SELECT id, name FROM things ORDER BY id") == rows


def test_an_overwritten_table_holds_only_the_newest_generation(
    mock: Mock, landing: Landing, warehouse: Snowflake
) -> None:
    connection = warehouse.connect(mock, OVERWRITE)
    landing.put("orders/a.csv", ORDERS)
    run(mock, connection)
    landing.remove("orders/a.csv")
    landing.put("orders/b.csv", "id,name,price,at\n3,cat,3,\n")
    run(mock, connection)
    assert warehouse.rows("SELECT id, _airbyte_generation_id FROM orders") == [(3, 2)]


def test_a_clear_empties_the_table_and_makes_every_file_unread(
    mock: Mock, landing: Landing, warehouse: Snowflake
) -> None:
    connection = warehouse.connect(mock)
    landing.put("orders/a.csv", ORDERS)
    run(mock, connection)
    assert run(mock, connection, "clear")["status"] == "succeeded"
    assert warehouse.rows("SELECT count(*) FROM orders") == [(0,)]
    assert run(mock, connection)["rowsSynced"] == 2
    assert warehouse.rows("SELECT count(*) FROM orders") == [(2,)]


def test_inferred_columns_grow_with_the_files(mock: Mock, landing: Landing, warehouse: Snowflake) -> None:
    add_streams(mock, {"name": "things"})
    connection = warehouse.connect(mock, stream="things")
    landing.put("things/a.jsonl", '{"n": 1, "tags": ["a"]}\n')
    run(mock, connection)
    landing.put("things/b.jsonl", '{"n": 2, "on": true}\n')
    assert run(mock, connection)["status"] == "succeeded"
    found = warehouse.rows('SELECT n, tags, "ON" FROM things ORDER BY n')
    assert [(n, tags and json.loads(tags), on) for n, tags, on in found] == [(1, ["a"], None), (2, None, True)]


NESTED = (
    '{"n": 1, "item": {"a": 1}, "tags": [1, null], "both": {"b": 2}, "at": "2013-01-01T10:00:00"}\n'
    '{"n": 2, "item": [7], "tags": {"t": 1}, "both": [3], "at": null}\n'
)


def test_nested_values_and_times_have_the_types_that_airbytes_destination_gives_them(
    mock: Mock, landing: Landing, warehouse: Snowflake
) -> None:
    columns = {"n": "integer", "item": "object", "tags": "array", "both": "union", "at": "timestamp_without_timezone"}
    add_streams(mock, {"name": "things", "columns": columns})
    landing.put("things/a.jsonl", NESTED)
    connection = warehouse.connect(mock, stream="things")
    job = run(mock, connection)
    assert job["status"] == "succeeded", mock.attempts(job["jobId"])
    assert warehouse.types("things") == {
        "N": "NUMBER(38,0)",
        "ITEM": "OBJECT",
        "TAGS": "ARRAY",
        "BOTH": "VARIANT",
        "AT": "TIMESTAMP_NTZ(9)",
    }
    found = warehouse.rows("SELECT item, tags, both, _airbyte_meta FROM things ORDER BY n")
    first, second = ([value and json.loads(value) for value in row] for row in found)
    assert first[:3] == [{"a": 1}, [1, None], {"b": 2}]
    assert second[:3] == [None, None, [3]], "an OBJECT takes no array, and an ARRAY no object"
    assert [(each["field"], each["change"]) for each in second[3]["changes"]] == [
        ("item", "NULLED"),
        ("tags", "NULLED"),
    ]


def test_inferred_nested_columns_take_every_value_of_later_files(
    mock: Mock, landing: Landing, warehouse: Snowflake
) -> None:
    add_streams(mock, {"name": "things"})
    connection = warehouse.connect(mock, stream="things")
    landing.put("things/a.jsonl", '{"n": 1, "item": {"a": 1}, "tags": [1]}\n')
    run(mock, connection)
    assert warehouse.types("things") == {"ITEM": "OBJECT", "N": "NUMBER(38,0)", "TAGS": "ARRAY"}
    landing.put("things/b.jsonl", '{"n": 2, "item": [2], "tags": "none"}\n')
    job = run(mock, connection)
    assert job["status"] == "succeeded", mock.attempts(job["jobId"])
    assert warehouse.types("things") == {"ITEM": "VARIANT", "N": "NUMBER(38,0)", "TAGS": "VARIANT"}
    found = warehouse.rows("SELECT item, tags FROM things ORDER BY n")
    assert [tuple(map(json.loads, row)) for row in found] == [({"a": 1}, [1]), ([2], "none")]


def test_secrets_are_shown_masked_and_kept_when_they_come_back_so(
    start: Start, landing: Landing, warehouse: Snowflake
) -> None:
    landing.put("orders/a.csv", ORDERS)
    with start() as mock:
        made = warehouse.make(mock)
        assert made["configuration"]["credentials"]["password"] == MASKED
        path = f"{V1}/destinations/{made['destinationId']}"
        assert mock.http.put(path, json={"name": "Same", "configuration": made["configuration"]}).status_code == 200
        assert PASSWORD not in mock.http.get(path).text + mock.http.get("/_mock/state").text
    with start() as mock:
        held = mock.http.app.state.mock.catalog.destinations  # type: ignore[attr-defined]
        (found,) = [d for d in held.values() if d.name == "Same"]
        assert found.configuration.credentials.password.get_secret_value() == PASSWORD


def test_a_key_pair_logs_in_and_credentials_that_are_refused_fail_the_job_at_once(
    mock: Mock, landing: Landing, warehouse: Snowflake, key: rsa.RSAPrivateKey
) -> None:
    landing.put("orders/a.csv", ORDERS)
    ways = {
        "plain": {"private_key": pem(key)},
        "encrypted": {"private_key": pem(key, PASSPHRASE), "private_key_password": PASSPHRASE},
    }
    for number, way in enumerate(ways, start=1):
        connection = warehouse.connect(mock, credentials={"auth_type": KEY_PAIR, **ways[way]})
        assert run(mock, connection)["status"] == "succeeded", way
        assert warehouse.rows("SELECT count(*) FROM orders") == [(2 * number,)]
    another = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    for wrong, said in (
        ({"auth_type": "Username and Password", "password": "guessed"}, "Incorrect username or password"),
        ({"auth_type": KEY_PAIR, "private_key": another}, "JWT token is invalid"),
        (
            {"auth_type": KEY_PAIR, **ways["encrypted"], "private_key_password": "guessed"},
            "password does not decrypt it",
        ),
    ):
        job = run(mock, warehouse.connect(mock, credentials=wrong))
        assert (job["status"], len(mock.attempts(job["jobId"]))) == ("failed", 1)
        assert said in mock.reason(job["jobId"])
        assert "PRIVATE KEY" not in mock.reason(job["jobId"])


def test_a_snowflake_that_cannot_be_reached_is_tried_again_and_then_named(
    start: Start, landing: Landing, warehouse: Snowflake
) -> None:
    landing.put("orders/a.csv", ORDERS)
    with start(max_attempts=1) as mock:
        job = run(mock, warehouse.connect(mock, host="http://127.0.0.1:9"))
        assert job["status"] == "failed"
        assert "Cannot reach Snowflake" in mock.reason(job["jobId"])


def test_a_lake_refuses_to_deduplicate_as_airbyte_does(mock: Mock) -> None:
    body = {
        "sourceId": SOURCE,
        "destinationId": "33333333-3333-4333-8333-333333333333",
        "prefix": "other_",
        "configurations": {"streams": [{"name": "orders", "syncMode": DEDUP}]},
    }
    answer = mock.http.post(f"{V1}/connections", json=body)
    assert answer.status_code == 400
    said = answer.json()["data"]["message"]
    assert said.startswith(f"Cannot set sync mode to {DEDUP} for stream orders. Valid sync modes are: [full_refresh")


def test_a_later_file_widens_a_column_of_the_table_and_earlier_rows_stay_right(
    start: Start, landing: Landing, warehouse: Snowflake, tmp_path: Path
) -> None:
    landing.put("orders/a.csv", "id,zip,price,paid\n1,10001,5,true\n")
    with mock_of(start, landing, [{"name": "orders"}], tmp_path) as mock:
        run(mock, connection := warehouse.connect(mock))
        landing.put("orders/b.csv", "id,zip,price,paid\n2,00501,1.50,maybe\n")
        job = run(mock, connection)
        assert job["status"] == "succeeded"
        rows = warehouse.rows("SELECT id, zip, price, paid, _airbyte_generation_id FROM orders ORDER BY id")
        assert rows == [(1, "10001", 5.0, "true", 0), (2, "00501", 1.5, "maybe", 0)]
        (info,) = mock.http.post("/api/v1/jobs/get", json={"id": job["jobId"]}).json()["attempts"]
        assert [line.split("'")[1] for line in info["logs"]["logLines"]] == ["ZIP", "PRICE", "PAID"]
        landing.put("orders/c.csv", "id,zip,price,paid\n3,7,7,true\n")
        run(mock, connection)
        assert warehouse.rows("SELECT zip, price FROM orders WHERE id = 3") == [("7", 7.0)]


def test_times_that_become_text_keep_their_microseconds(
    start: Start, landing: Landing, warehouse: Snowflake, tmp_path: Path
) -> None:
    moment = datetime.fromisoformat("2013-01-01T10:00:00.123456")
    columns = {"id": pa.array([1]), "at": pa.array([moment]), "zoned": pa.array([moment.replace(tzinfo=UTC)])}
    parquet.write_table(pa.table(columns | {"day": pa.array([moment.date()])}), out := io.BytesIO())
    landing.put("orders/a.parquet", out.getvalue())
    with mock_of(start, landing, [{"name": "orders"}], tmp_path) as mock:
        run(mock, connection := warehouse.connect(mock))
        landing.put("orders/b.csv", "id,at,zoned,day\n2,soon,soon,soon\n")
        assert run(mock, connection)["status"] == "succeeded"
    rows = warehouse.rows('SELECT "AT", zoned, "DAY" FROM orders ORDER BY id')
    assert rows == [
        ("2013-01-01 10:00:00.123456", "2013-01-01 10:00:00.123456+00:00", "2013-01-01"),
        ("soon", "soon", "soon"),
    ]


def test_like_airbyte_columns_of_csv_and_dates_of_files_are_varchar(
    start: Start, landing: Landing, warehouse: Snowflake
) -> None:
    landing.put("orders/a.csv", ORDERS.replace("1,ant", "007,ant"))
    with start(like_airbyte=True) as mock:
        connection = warehouse.connect(mock)
        assert run(mock, connection)["status"] == "succeeded"
        types = {row[0]: row[1].partition("(")[0] for row in warehouse.rows("DESCRIBE TABLE orders")}
        assert {types[name] for name in ("ID", "PRICE", "AT", "ORDER", "_AB_SOURCE_FILE_LAST_MODIFIED")} == {"VARCHAR"}
        assert types["_AIRBYTE_EXTRACTED_AT"] == "TIMESTAMP_TZ"
        [(id_, at, date)] = warehouse.rows(
            "select id, \"AT\", _ab_source_file_last_modified from orders where name = 'ant'"
        )
        assert (id_, at, date[-8:]) == ("007", "2013-01-01T10:00:00Z", ".000000Z")


def test_a_refresh_reads_anew_and_keeps_or_removes_the_rows_of_former_generations(
    warehouse: Snowflake, mock: Mock, landing: Landing
) -> None:
    connection = warehouse.connect(mock)
    landing.put("orders/a.csv", ORDERS)
    run(mock, connection)
    landing.put("orders/a.csv", ORDERS.rpartition("2,,2")[0])
    for mode, left in (("Merge", [(0, 2), (1, 1)]), ("Truncate", [(2, 1)])):
        body = {"connectionId": connection, "refreshMode": mode}
        answer = mock.http.post("/api/v1/connections/refresh", json=body).raise_for_status().json()
        assert mock.wait(answer["job"]["id"])["status"] == "succeeded"
        counted = "select _airbyte_generation_id, count(*) from orders group by 1 order by 1"
        assert warehouse.rows(counted) == left


def test_a_column_that_waits_for_approval_comes_to_the_table_once_the_connection_is_active_again(
    warehouse: Snowflake, mock: Mock, landing: Landing
) -> None:
    connection = f"{V1}/connections/{warehouse.connect(mock)}"
    mock.http.patch(connection, json={"nonBreakingSchemaUpdatesBehavior": "disable_connection"}).raise_for_status()
    landing.put("orders/a.csv", "id,name,price,at\n1,ant,1,\n")
    assert run(mock, connection.rpartition("/")[2])["status"] == "succeeded"
    landing.put("orders/b.csv", "id,name,price,at,tip\n2,bee,2,,5\n")
    assert run(mock, connection.rpartition("/")[2])["status"] == "cancelled"
    assert warehouse.rows("select id from orders order by id") == [(1,)]
    mock.http.patch(connection, json={"status": "active"}).raise_for_status()
    assert run(mock, connection.rpartition("/")[2])["status"] == "succeeded"
    assert warehouse.rows("select id, tip from orders order by id") == [(1, None), (2, "5")]

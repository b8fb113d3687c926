"""The types of Snowflake's columns: declared, inferred from the files, and widened by later ones."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.integration.airbyte.mock_config import mock_of
from tests.integration.airbyte.running_mock import V1, Landing, Mock, Start
from tests.integration.airbyte.snowflake_destination import ORDERS, Snowflake, add_streams, run


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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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

"""Syncs into Snowflake by stage and COPY, through Snowflake's own connector, into the emulator."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.airbyte.running_mock import V1, Landing, Mock, Start
from tests.integration.airbyte.snowflake_destination import (
    DEDUP,
    ORDERS,
    OVERWRITE,
    SOURCE,
    Snowflake,
    add_streams,
    run,
)
from tests.integration.snowflake.emulator import PASSWORD, pem

MASKED = "**********"
KEY_PAIR, PASSPHRASE = "Key Pair Authentication", "open sesame"


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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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

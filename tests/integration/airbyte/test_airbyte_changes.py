"""What real sources do and files do not: refreshes, new generations, changes that wait for approval."""

from typing import Any

import pytest

from tests.integration.airbyte.running_mock import CONNECTION, V1, Landing, Mock

HEADER = "id,name,price,at\n"


def refresh(mock: Mock, mode: str, **more: Any) -> dict[str, Any]:
    body = {"connectionId": CONNECTION, "refreshMode": mode, **more}
    answer = mock.http.post("/api/v1/connections/refresh", json=body)
    assert answer.status_code == 200, answer.text
    return mock.wait(answer.json()["job"]["id"])


def change(mock: Mock, **fields: str) -> None:
    assert mock.http.patch(f"{V1}/connections/{CONNECTION}", json=fields).status_code == 200


def status(mock: Mock) -> str:
    return str(mock.http.get(f"{V1}/connections/{CONNECTION}").json()["status"])


def test_a_refresh_that_keeps_rows_reads_all_files_anew_in_the_next_generation(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", f"{HEADER}1,ann,1,\n")
    landing.put("shops/a.csv", "id,name\n1,x\n")
    mock.sync()
    job = refresh(mock, "Merge", streams=[{"streamName": "orders"}])
    assert (job["status"], job["jobType"], job["rowsSynced"]) == ("succeeded", "refresh", 1)
    assert mock.rows("id, _airbyte_generation_id", order="all") == [(1, 0), (1, 1)]
    assert mock.rows("id, _airbyte_generation_id", "shops") == [(1, 0)]
    landing.put("orders/b.csv", f"{HEADER}2,bob,2,\n")
    assert mock.sync()["rowsSynced"] == 1
    assert mock.rows("id, _airbyte_generation_id", order="all") == [(1, 0), (1, 1), (2, 1)]


def test_a_refresh_that_removes_rows_leaves_those_that_the_source_has_now(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", f"{HEADER}1,ann,1,\n2,bob,2,\n")
    mock.sync()
    landing.put("orders/a.csv", f"{HEADER}2,bob,3,\n")
    assert refresh(mock, "Truncate")["status"] == "succeeded"
    assert mock.rows("id, price, _airbyte_generation_id") == [(2, 3.0, 1)]
    assert mock.sync()["rowsSynced"] == 0


def test_a_refresh_of_an_unknown_stream_or_in_an_unknown_mode_is_refused(mock: Mock) -> None:
    for wrong in ({"refreshMode": "Erase"}, {"refreshMode": "Merge", "streams": [{"streamName": "hotels"}]}):
        answer = mock.http.post("/api/v1/connections/refresh", json={"connectionId": CONNECTION, **wrong})
        assert answer.status_code == 400, answer.text


def test_a_new_column_disables_the_connection_until_it_is_approved(mock: Mock, landing: Landing) -> None:
    change(mock, nonBreakingSchemaUpdatesBehavior="disable_connection")
    landing.put("orders/a.csv", f"{HEADER}1,ann,1,\n")
    assert mock.sync()["status"] == "succeeded"
    landing.put("orders/b.csv", "id,name,price,at,tip\n2,bob,2,,5\n")
    job = mock.sync()
    assert job["status"] == "cancelled"
    assert any("inbound/orders/b.csv has columns" in line and "tip" in line for line in mock.notes(job["jobId"]))
    assert (status(mock), mock.rows("id")) == ("inactive", [(1,)])
    refused = mock.http.post(f"{V1}/jobs", json={"connectionId": CONNECTION, "jobType": "sync"})
    assert refused.status_code == 409
    change(mock, status="active")
    assert mock.sync()["status"] == "succeeded"
    assert mock.rows("id, tip") == [(1, None), (2, "5")]


@pytest.mark.parametrize(("behavior", "columns"), [("ignore", 0), ("propagate_columns", 1)])
def test_a_new_column_is_left_out_or_added_as_the_connection_says(
    mock: Mock, landing: Landing, behavior: str, columns: int
) -> None:
    change(mock, nonBreakingSchemaUpdatesBehavior=behavior)
    landing.put("orders/a.csv", "id,name,price,at,tip\n2,bob,2,,5\n")
    assert mock.sync()["status"] == "succeeded"
    [row] = mock.rows("*")
    assert len(row) == 4 + columns + 6

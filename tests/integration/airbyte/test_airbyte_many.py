"""Many connections sync at once."""

import time

import pytest

from tests.integration.airbyte.running_mock import V1, Landing, Mock
from tests.integration.airbyte.test_airbyte_resources import connect

SHOPS = {"streams": [{"name": "shops", "syncMode": "incremental_append"}]}


@pytest.mark.parametrize("connections", [10, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_as_many_syncs_as_there_are_connections_all_end_right(mock: Mock, landing: Landing, connections: int) -> None:
    landing.put("shops/a.csv", "id,name\n7,shop\n8,\n")
    made = [connect(mock, prefix=f"p{number}_", configurations=SHOPS) for number in range(connections)]
    for connection in made:
        body = {"connectionId": connection["connectionId"], "jobType": "sync"}
        assert mock.http.post(f"{V1}/jobs", json=body).status_code == 200
    deadline = time.monotonic() + 240
    while (ended := _ended(mock)) < connections:
        assert time.monotonic() < deadline, f"{ended} syncs have ended"
        time.sleep(0.2)
    jobs = mock.http.get(f"{V1}/jobs", params={"limit": 100}).json()["data"]
    assert {(job["status"], job["rowsSynced"]) for job in jobs} == {("succeeded", 2)}
    assert {tuple(mock.rows("id", f"p{number}_shops")) for number in range(connections)} == {((7,), (8,))}


def _ended(mock: Mock) -> int:
    jobs = mock.http.get(f"{V1}/jobs", params={"limit": 100}).json()["data"]
    return sum(job["status"] in ("succeeded", "failed", "cancelled") for job in jobs)

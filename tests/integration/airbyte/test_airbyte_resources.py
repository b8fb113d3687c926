"""Resources are made, changed and deleted as on the real service, and are there after a restart."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.airbyte.running_mock import CONNECTION, JSON, V1, Landing, Mock, Start

WORKSPACE = "44444444-4444-4444-8444-444444444444"
SOURCE = "22222222-2222-4222-8222-222222222222"
DESTINATION = "33333333-3333-4333-8333-333333333333"
UNKNOWN = "99999999-9999-4999-8999-999999999999"
STREAM = {"name": "shops", "syncMode": "FULL_REFRESH_APPEND", "cursorField": ["x"], "mappers": []}


def create(mock: Mock, kind: str, **body: Any) -> dict[str, Any]:
    answer = mock.http.post(f"{V1}/{kind}s", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def connect(mock: Mock, **more: Any) -> dict[str, Any]:
    return create(mock, "connection", sourceId=SOURCE, destinationId=DESTINATION, **{"prefix": "mine_", **more})


def test_a_new_connection_syncs_every_stream_with_overwrite_and_is_there_after_a_restart(
    start: Start, landing: Landing
) -> None:
    landing.put("shops/a.csv", "id,name\n7,shop\n")
    with start() as mock:
        made = connect(mock)
        assert made["name"] == "Shop → Lake"
        assert {s["syncMode"] for s in made["configurations"]["streams"]} == {"full_refresh_overwrite"}
        body = {"connectionId": made["connectionId"], "jobType": "sync"}
        assert mock.wait(mock.http.post(f"{V1}/jobs", json=body).json()["jobId"])["rowsSynced"] == 1
        assert mock.rows("id", stream="mine_shops") == [(7,)]
    with start() as mock:
        assert mock.http.get(f"{V1}/connections/{made['connectionId']}").json() == made


def test_what_was_changed_or_deleted_stays_so_after_a_restart(start: Start) -> None:
    with start() as mock:
        mock.http.patch(f"{V1}/workspaces/{WORKSPACE}", json={"name": "Renamed"})
        assert mock.http.delete(f"{V1}/connections/{CONNECTION}").status_code == 204
    with start() as mock:
        assert mock.http.get(f"{V1}/workspaces/{WORKSPACE}").json()["name"] == "Renamed"
        assert mock.http.get(f"{V1}/connections/{CONNECTION}").status_code == 404
        assert mock.http.get(f"{V1}/connections").json()["data"] == []
        (deleted,) = mock.http.get(f"{V1}/connections?includeDeleted=true").json()["data"]
        assert (deleted["connectionId"], deleted["status"]) == (CONNECTION, "deprecated")


def test_a_patch_changes_what_it_names_alone(mock: Mock) -> None:
    made = connect(mock, configurations={"streams": [STREAM]})
    patch = {"status": "INACTIVE", "schedule": {"scheduleType": "CRON", "cronExpression": "0 0 6 * * ? UTC"}}
    changed = mock.http.patch(f"{V1}/connections/{made['connectionId']}", json=patch).json()
    expected = {"status": "inactive", "schedule": {"scheduleType": "cron", "cronExpression": "0 0 6 * * ? UTC"}}
    assert changed == made | expected
    assert [s["syncMode"] for s in changed["configurations"]["streams"]] == ["full_refresh_append"]


def test_a_locked_connection_cannot_be_changed(mock: Mock) -> None:
    made = connect(mock, status="locked")
    answer = mock.http.patch(f"{V1}/connections/{made['connectionId']}", json={"name": "x"})
    assert (answer.status_code, answer.json()["title"]) == (409, "error:connection/locked")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"destinationId": DESTINATION}, 400),
        ({"sourceId": UNKNOWN, "destinationId": DESTINATION}, 404),
        ({"sourceId": SOURCE, "destinationId": DESTINATION}, 409),  # both would write the same folders
        ({"sourceId": SOURCE, "destinationId": DESTINATION, "configurations": {"streams": [{"name": "no"}]}}, 400),
        ({"sourceId": SOURCE, "destinationId": DESTINATION, "schedule": {"scheduleType": "cron"}}, 400),
        (
            {
                "sourceId": SOURCE,
                "destinationId": DESTINATION,
                "schedule": {"scheduleType": "cron", "cronExpression": "daily"},
            },
            400,
        ),
        ({"sourceId": SOURCE, "destinationId": DESTINATION, "configurations": {"streams": 1}}, 400),
        ({"sourceId": SOURCE, "destinationId": DESTINATION, "prefix": "x" * 300}, 400),
        ({"sourceId": SOURCE, "destinationId": DESTINATION, "prefix": "x", "name": "\ud800"}, 422),
    ],
)
def test_a_connection_that_cannot_be_is_refused_and_leaves_nothing(
    mock: Mock, body: dict[str, Any], status: int
) -> None:
    assert mock.http.post(f"{V1}/connections", content=json.dumps(body), headers=JSON).status_code == status
    assert len(mock.http.get(f"{V1}/connections").json()["data"]) == 1


@pytest.mark.parametrize("path", ["/etc", "../up", "a\0b", "x" * 300, "x/" * 600])
def test_a_lake_is_written_nowhere_but_in_folders_that_can_be(mock: Mock, path: str) -> None:
    body = {"name": "D", "workspaceId": WORKSPACE, "configuration": {"destination_path": path}}
    assert mock.http.post(f"{V1}/destinations", json=body).status_code == 422


def test_a_source_is_made_changed_replaced_and_deleted_with_its_connections(mock: Mock) -> None:
    configuration = {"bucket": "b", "streams": [{"name": "orders", "columns": {"id": "integer"}}]}
    made = create(mock, "source", name="S", workspaceId=WORKSPACE, configuration=configuration)
    url = f"{V1}/sources/{made['sourceId']}"
    assert made["configuration"]["bucket"] == "b"
    assert "sourceType" not in made["configuration"]
    patched = mock.http.patch(url, json={"configuration": {"bucket": "c"}}).json()
    assert patched["configuration"] == made["configuration"] | {"bucket": "c"}
    assert mock.http.put(url, json={"name": "only"}).status_code == 400
    assert mock.http.put(url, json={"name": "T", "configuration": configuration}).json()["name"] == "T"
    connection = create(mock, "connection", sourceId=made["sourceId"], destinationId=DESTINATION, prefix="t_")
    assert mock.http.delete(url).status_code == 204
    assert mock.http.get(url).status_code == 404
    assert mock.http.get(f"{V1}/connections/{connection['connectionId']}").status_code == 404


def test_a_configuration_that_the_connector_does_not_take_is_unprocessable(mock: Mock) -> None:
    body = {"name": "S", "workspaceId": WORKSPACE, "configuration": {"sourceType": "faker"}}
    answer = mock.http.post(f"{V1}/sources", json=body)
    assert (answer.status_code, answer.json()["title"]) == (422, "unprocessable-entity")
    assert "sourceType" in answer.json()["data"]["message"]


def test_deleting_a_connection_cancels_its_job(mock: Mock) -> None:
    mock.fault(kind="stuck_running")
    job_id = mock.start()["jobId"]
    mock.wait(job_id, "running")
    mock.http.delete(f"{V1}/connections/{CONNECTION}")
    (job,) = mock.http.get(f"{V1}/jobs", params={"workspaceIds": WORKSPACE}).json()["data"]
    assert (job["jobId"], job["status"]) == (job_id, "cancelled")


def test_connections_are_found_by_their_tags(mock: Mock) -> None:
    tag = create(mock, "tag", name="nightly", color="FF69B4", workspaceId=WORKSPACE)
    made = connect(mock, tags=[tag])
    assert made["tags"] == [tag]
    (found,) = mock.http.get(f"{V1}/connections", params={"tagIds": tag["tagId"]}).json()["data"]
    assert found == made
    twice = mock.http.post(f"{V1}/tags", json={"name": "nightly", "color": "000000", "workspaceId": WORKSPACE})
    assert twice.status_code == 409
    assert mock.http.delete(f"{V1}/tags/{tag['tagId']}").status_code == 204
    assert mock.http.get(f"{V1}/connections/{made['connectionId']}").json()["tags"] == []


def test_a_stream_with_inferred_columns_tells_those_of_its_oldest_file(mock: Mock, landing: Landing) -> None:
    _add_streams(mock, {"name": "things"}, {"name": "nothing"})
    landing.put("things/a.jsonl", '{"n": 1, "tags": ["a"]}\n')
    found = {s["streamName"]: s for s in mock.http.get(f"{V1}/streams", params={"sourceId": SOURCE}).json()}
    assert found["things"]["propertyFields"] == [["n"], ["tags"]]
    assert found["nothing"]["propertyFields"] == []


def test_a_source_is_looked_at_again_when_the_cache_is_to_be_ignored(mock: Mock, landing: Landing) -> None:
    _add_streams(mock, {"name": "things"})

    def fields(**query: str) -> list[list[str]]:
        answer = mock.http.get(f"{V1}/streams", params={"sourceId": SOURCE, **query})
        return list(answer.json()[-1]["propertyFields"])

    landing.put("things/a.csv", "id\n1\n")
    assert fields() == [["id"]]
    landing.put("things/a.csv", "id,name\n1,x\n")
    assert fields() == [["id"]]
    assert fields(ignoreCache="true") == [["id"], ["name"]]


def _add_streams(mock: Mock, *more: dict[str, Any]) -> None:
    streams = mock.http.get(f"{V1}/sources/{SOURCE}").json()["configuration"]["streams"]
    body = {"configuration": {"streams": [*streams, *more]}}
    mock.http.patch(f"{V1}/sources/{SOURCE}", json=body).raise_for_status()


def test_a_sync_loads_the_selected_columns_and_no_other(mock: Mock, landing: Landing) -> None:
    landing.put("orders/a.csv", "id,name,price,at\n1,ant,1.5,\n")
    selected = [{"fieldPath": ["id"]}, {"fieldPath": ["price"]}]
    stream = {"name": "orders", "syncMode": "incremental_append", "selectedFields": selected}
    made = connect(mock, configurations={"streams": [stream]})
    assert made["configurations"]["streams"][0]["selectedFields"] == selected
    body = {"connectionId": made["connectionId"], "jobType": "sync"}
    mock.wait(mock.http.post(f"{V1}/jobs", json=body).json()["jobId"])
    assert mock.rows("COLUMNS('^[^_]')", "mine_orders") == [(1, 1.5)]


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        ({"selectedFields": [{"fieldPath": ["no"]}]}, "Invalid field selected in configuration for stream orders"),
        ({"cursorField": ["at"]}, "is already defined by source for stream: orders"),
    ],
)
def test_a_stream_that_cannot_be_synced_as_asked_is_refused_in_airbytes_words(
    mock: Mock, stream: dict[str, Any], said: str
) -> None:
    streams = {"streams": [{"name": "orders", "syncMode": "incremental_append", **stream}]}
    answer = mock.http.patch(f"{V1}/connections/{CONNECTION}", json={"configurations": streams})
    assert answer.status_code == 400
    assert said in answer.json()["data"]["message"]


def test_what_a_connection_says_of_a_stream_comes_back(mock: Mock) -> None:
    mappers = [{"type": "hashing", "mapperConfiguration": {"targetField": "name", "method": "SHA-256"}}]
    stream = {"name": "shops", "syncMode": "incremental_append", "mappers": mappers, "namespace": "eu"}
    answer = mock.http.patch(f"{V1}/connections/{CONNECTION}", json={"configurations": {"streams": [stream]}}).json()
    shown = answer["configurations"]["streams"][0]
    assert (shown["mappers"], shown["namespace"]) == (mappers, "eu")


def test_a_changed_config_file_is_in_force_without_a_restart(start: Start, landing: Landing, tmp_path: Path) -> None:
    landing.put("ants/a.csv", "id\n7\n")
    with start() as mock:
        file = tmp_path / "airbyte.yaml"
        before = file.read_text()
        mock.http.patch(f"{V1}/connections/{CONNECTION}", json={"name": "Renamed"}).raise_for_status()
        file.write_text(before.replace("streams:", "streams: [", 1))
        time.sleep(1.5)
        assert [each["name"] for each in streams_of(mock)] == ["orders", "shops"]
        more = "      streams:\n        - {name: ants, columns: {id: integer}}\n"
        file.write_text(before.replace("      streams:\n", more, 1))
        wait_for(lambda: "ants" in [each["name"] for each in streams_of(mock)])
        body = {"name": "Ants", "sourceId": SOURCE, "destinationId": DESTINATION, "prefix": "new_"}
        made = create(mock, "connection", **body, configurations={"streams": [{"name": "ants"}]})
        job = mock.http.post(f"{V1}/jobs", json={"connectionId": made["connectionId"], "jobType": "sync"}).json()
        assert mock.wait(job["jobId"])["rowsSynced"] == 1
        assert mock.http.get(f"{V1}/connections/{CONNECTION}").json()["name"] == "Renamed"


def streams_of(mock: Mock) -> list[dict[str, Any]]:
    return list(mock.http.get(f"{V1}/sources/{SOURCE}").json()["configuration"]["streams"])


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)

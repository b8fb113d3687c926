"""Programs written for the real service cannot tell: answers, filters, pages, tokens, errors."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.airbyte.running_mock import CONNECTION, JSON, V1, Landing, Mock, Start

UNKNOWN = "99999999-9999-4999-8999-999999999999"


@pytest.fixture
def finished(mock: Mock) -> list[int]:
    """The ids of three jobs: succeeded, failed, succeeded."""
    first = mock.sync()["jobId"]
    mock.fault(kind="fail", times=1)
    return [first, mock.sync()["jobId"], mock.sync()["jobId"]]


def test_health_is_plain_text(mock: Mock) -> None:
    answer = mock.http.get(f"{V1}/health")
    assert (answer.status_code, answer.text) == (200, "Successful operation")


def test_a_new_job_is_pending_and_leaves_out_what_it_does_not_know(mock: Mock) -> None:
    job = mock.start()
    assert job["status"] == "pending"
    assert job["connectionId"] == CONNECTION
    assert set(job) == {"jobId", "status", "jobType", "startTime", "connectionId"}


def test_a_finished_job_has_its_totals_and_times(mock: Mock) -> None:
    job = mock.sync()
    assert job["duration"].startswith("PT")
    assert job["lastUpdatedAt"].endswith("Z")
    assert (job["rowsSynced"], job["bytesSynced"]) == (0, 0)


def test_a_second_sync_of_a_running_connection_is_a_conflict(mock: Mock) -> None:
    fault = mock.fault(kind="stuck_running")
    job_id = mock.start()["jobId"]
    answer = mock.http.post(f"{V1}/jobs", json={"connectionId": CONNECTION, "jobType": "SYNC"})
    assert answer.status_code == 409
    assert answer.json() == {
        "status": 409,
        "type": "https://reference.airbyte.com/reference/errors#try-again-later",
        "title": "try-again-later",
        "detail": "Please try again later.",
        "documentationUrl": None,
        "data": {"message": f"A sync is already running for: {CONNECTION}"},
    }
    mock.http.delete(f"/_mock/faults/{fault}")
    assert mock.wait(job_id)["status"] == "succeeded"


def test_a_cancelled_job_stays_cancelled_and_a_new_one_is_accepted_at_once(mock: Mock) -> None:
    mock.fault(kind="stuck_running", times=1)
    job_id = mock.start()["jobId"]
    mock.wait(job_id, "running")
    answer = mock.http.delete(f"{V1}/jobs/{job_id}")
    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert mock.sync()["status"] == "succeeded"
    assert mock.job(job_id)["status"] == "cancelled"
    assert "manual_cancellation" in str(mock.attempts(job_id))


def test_cancelling_a_finished_job_answers_with_it_unchanged(mock: Mock) -> None:
    job = mock.sync()
    answer = mock.http.delete(f"{V1}/jobs/{job['jobId']}")
    assert (answer.status_code, answer.json()) == (200, job)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"connectionId": CONNECTION, "jobType": "refresh"}, 422),
        ({"connectionId": UNKNOWN, "jobType": "sync"}, 404),
        ({"connectionId": "no-uuid", "jobType": "sync"}, 400),
        ({"connectionId": CONNECTION, "jobType": "dance"}, 400),
        ({"connectionId": CONNECTION}, 400),
        ([], 422),
    ],
)
def test_a_job_that_cannot_be_created_is_refused(mock: Mock, body: Any, status: int) -> None:
    assert mock.http.post(f"{V1}/jobs", json=body).status_code == status


def test_an_unknown_job_is_not_found_or_what_the_servers_source_says(mock: Mock, start: Start) -> None:
    missing = mock.http.get(f"{V1}/jobs/999")
    assert missing.status_code == 404
    assert missing.json()["title"] == "resource-not-found"


def test_numbers_and_bodies_of_any_size_are_refused_and_never_an_error_of_the_server(mock: Mock) -> None:
    mock.fault(kind="conflict")  # where there are faults, a request's connection is looked for first
    assert [mock.http.get(f"{V1}/jobs/{'9' * digits}").status_code for digits in (19, 30, 5000)] == [400] * 3
    assert mock.http.post("/api/v1/jobs/get", json={"id": 10**30}).status_code == 404
    assert mock.http.post(f"{V1}/jobs", content="[" * 100_000, headers=JSON).status_code == 422


def test_strict_answers_an_unknown_job_as_the_servers_source_does(start: Start) -> None:
    with start(strict=True) as mock:
        assert mock.http.get(f"{V1}/jobs/999").json()["title"] == "state-conflict"
        assert mock.http.get(f"{V1}/connections/no-uuid").status_code == 500


def test_jobs_are_listed_oldest_first_and_filtered(mock: Mock, finished: list[int]) -> None:
    def ids(**query: Any) -> list[int]:
        return [job["jobId"] for job in mock.http.get(f"{V1}/jobs", params=query).json()["data"]]

    assert ids() == finished
    assert ids(orderBy="createdAt|DESC", limit=1) == finished[-1:]
    assert ids(status="failed") == [finished[1]]
    assert ids(jobType="clear") == []
    assert ids(connectionId=UNKNOWN) == []
    assert ids(workspaceIds="44444444-4444-4444-8444-444444444444," + UNKNOWN) == finished
    assert ids(createdAtStart="2100-01-01T00:00:00Z") == []
    assert ids(createdAtStart="2000-01-01T00:00:00.5+00:00", updatedAtEnd="2100-01-01T00:00:00Z") == finished


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "offset=-1", "orderBy=id", "status=done", "createdAtStart=1687"]
)
def test_a_bad_filter_is_a_bad_request(mock: Mock, query: str) -> None:
    answer = mock.http.get(f"{V1}/jobs?{query}")
    assert answer.status_code == 400
    assert answer.json()["message"] == "Bad Request"


def test_following_next_sees_every_job_once_and_ends_with_an_empty_page(mock: Mock, finished: list[int]) -> None:
    def pages(url: str) -> Iterator[list[int]]:
        while url:
            page = mock.http.get(url).json()
            yield [job["jobId"] for job in page["data"]]
            url = page["next"]

    assert list(pages(f"{V1}/jobs?limit=2")) == [finished[:2], finished[2:], []]
    second = mock.http.get(f"{V1}/jobs?limit=2&offset=2").json()
    assert mock.http.get(second["previous"]).json()["data"][0]["jobId"] == finished[0]


def test_what_the_mock_lacks_is_not_implemented_and_says_so(mock: Mock) -> None:
    calls = [("GET", "/users"), ("POST", "/regions"), ("PATCH", "/groups/1"), ("GET", "/groups/1/members")]
    for method, path in calls:
        answer = mock.http.request(method, V1 + path, json={} if method != "GET" else None)
        assert (answer.status_code, answer.json()["title"]) == (501, "not-implemented")
        assert "The mock does not implement" in answer.json()["data"]["message"]


def test_a_path_or_a_method_that_the_api_has_not_is_refused_as_its_framework_does(mock: Mock) -> None:
    for method, path, status, message in (
        ("GET", "/nothing", 404, "Not Found"),
        ("PUT", "/jobs", 405, "Method Not Allowed"),
    ):
        answer = mock.http.request(method, V1 + path)
        assert (answer.status_code, answer.json()["message"]) == (status, message)


@pytest.mark.parametrize("kind", ["workspace", "source", "destination", "connection"])
def test_resources_are_listed_and_got(mock: Mock, kind: str) -> None:
    (only,) = mock.http.get(f"{V1}/{kind}s").json()["data"]
    assert mock.http.get(f"{V1}/{kind}s/{only[kind + 'Id']}").json() == only
    assert mock.http.get(f"{V1}/{kind}s/{UNKNOWN}").json()["data"] == {"resourceType": kind, "resourceId": UNKNOWN}


def test_streams_are_a_bare_array(mock: Mock) -> None:
    streams = mock.http.get(f"{V1}/streams", params={"sourceId": "22222222-2222-4222-8222-222222222222"}).json()
    assert [stream["streamName"] for stream in streams] == ["orders", "shops"]
    assert streams[0]["sourceDefinedPrimaryKey"] == [["id"]]


@pytest.fixture
def guarded(start: Start) -> Iterator[Mock]:
    with start(client_id="me", client_secret="s3cret") as mock:
        yield mock


@pytest.mark.parametrize("path", [f"{V1}/applications/token", "/applications/token"])
@pytest.mark.parametrize("grant", [{}, {"grant_type": "client_credentials"}, {"grant-type": "client_credentials"}])
@pytest.mark.parametrize("encoding", ["json", "data"])
def test_a_token_is_issued_for_both_encodings_and_every_grant(
    guarded: Mock, path: str, grant: dict[str, str], encoding: str
) -> None:
    body: Any = {"client_id": "me", "client_secret": "s3cret", **grant}
    token = (guarded.http.post(path, json=body) if encoding == "json" else guarded.http.post(path, data=body)).json()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 900)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert guarded.http.get(f"{V1}/jobs", headers=headers).status_code == 200


def test_a_forms_content_type_may_be_written_in_any_case(guarded: Mock) -> None:
    headers = {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}
    body = {"client_id": "me", "client_secret": "s3cret"}
    assert guarded.http.post("/applications/token", data=body, headers=headers).status_code == 200


def test_without_a_valid_token_every_call_but_health_is_unauthorised(guarded: Mock) -> None:
    assert guarded.http.get(f"{V1}/health").status_code == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic bWU6czNjcmV0"}):
        assert guarded.http.get(f"{V1}/jobs", headers=headers).status_code == 401
        assert guarded.http.post("/api/v1/jobs/get", json={"id": 1}, headers=headers).status_code == 401
    assert guarded.http.post("/applications/token", json={"client_id": "me", "client_secret": "x"}).status_code == 400


def test_a_token_expires(start: Start) -> None:
    with start(client_id="me", client_secret="s3cret", token_lifetime=4) as mock:
        token = mock.http.post("/applications/token", json={"client_id": "me", "client_secret": "s3cret"}).json()
        mock.http.headers["Authorization"] = f"Bearer {token['access_token']}"
        assert mock.http.get(f"{V1}/jobs").status_code == 200
        time.sleep(4.1)
        assert mock.http.get(f"{V1}/jobs").status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/jobs/get", "/api/v1/jobs/get/"])
def test_the_configuration_api_tells_why_a_job_failed(mock: Mock, landing: Landing, path: str) -> None:
    mock.fault(kind="fail", reason="the source said no", times=1)
    job_id = mock.sync()["jobId"]
    answer = mock.http.post(path, json={"id": job_id}).json()
    assert answer["job"]["status"] == "failed"
    assert answer["job"]["configType"] == "sync"
    (info,) = answer["attempts"]
    assert info["attempt"]["failureSummary"]["failures"][0]["externalMessage"] == "the source said no"
    assert mock.http.post(path, json={"id": 999}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff", b"[" * 100_000, rb'{"name": "\ud800"}', b'{"name": "n", "more": 1e999}'],
    ids=["empty", "list", "half", "not utf-8", "deep", "half a surrogate pair", "infinite"],
)
def test_a_body_that_is_not_json_is_refused_and_nothing_is_kept(mock: Mock, body: bytes) -> None:
    before = mock.http.get(f"{V1}/workspaces").json()
    assert mock.http.post(f"{V1}/workspaces", content=body, headers=JSON).status_code == 422
    assert mock.http.get(f"{V1}/workspaces").json() == before


@pytest.mark.parametrize("path", ["/jobs/" + "9" * 5000, "/jobs?limit=1_0", "/jobs?offset=%201"])
def test_what_java_reads_as_no_number_is_a_bad_request(mock: Mock, path: str) -> None:
    assert mock.http.get(V1 + path).status_code == 400


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_configuration_api_lists_and_cancels_jobs(mock: Mock, landing: Landing, slash: str) -> None:
    first = mock.sync()["jobId"]
    mock.fault(kind="stuck_running")
    running = mock.start()["jobId"]
    wanted = {"configTypes": ["sync", "refresh"], "configId": CONNECTION}
    listed = mock.http.post(f"/api/v1/jobs/list{slash}", json=wanted | {"pagination": {"pageSize": 1}}).json()
    assert [each["job"]["id"] for each in listed["jobs"]] == [running]
    assert listed["totalJobCount"] == 2
    rest = mock.http.post(f"/api/v1/jobs/list{slash}", json=wanted | {"pagination": {"rowOffset": 1}}).json()["jobs"]
    assert [(each["job"]["id"], each["attempts"][0]["status"]) for each in rest] == [(first, "succeeded")]
    assert mock.http.post(f"/api/v1/jobs/list{slash}", json=wanted | {"configTypes": ["clear"]}).json()["jobs"] == []
    cancelled = mock.http.post(f"/api/v1/jobs/cancel{slash}", json={"id": running}).json()
    assert cancelled["job"]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("list", {}, 400),
        ("list", {"configTypes": "sync"}, 400),
        ("list", {"configTypes": [], "pagination": {"pageSize": -1}}, 400),
        ("list", {"configTypes": [], "pagination": 3}, 400),
        ("list", {"configTypes": [], "configId": "nonsense"}, 400),
        ("list", {"configTypes": [], "configId": CONNECTION.replace("-", "")}, 400),
        ("cancel", {"id": 2**70}, 404),
        ("cancel", {"id": "1"}, 400),
    ],
)
def test_what_the_configuration_api_cannot_use_is_refused(
    mock: Mock, call: str, body: dict[str, Any], status: int
) -> None:
    assert mock.http.post(f"/api/v1/jobs/{call}", json=body).status_code == status


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_configuration_api_shows_a_connections_catalog_and_syncs_it(mock: Mock, slash: str) -> None:
    assert mock.http.get(f"/api/v1/health{slash}").json() == mock.http.post(f"/api/v1/health{slash}").json()
    body = {"connectionId": CONNECTION}
    streams = mock.http.post(f"/api/v1/connections/get{slash}", json=body).json()["syncCatalog"]["streams"]
    assert [s["stream"]["name"] for s in streams] == ["orders", "shops"]
    assert streams[0]["config"]["destinationSyncMode"] == "append"
    assert streams[0]["stream"]["jsonSchema"]["properties"]["at"]["format"] == "date-time"
    mock.fault(kind="stuck_running")
    started = mock.http.post(f"/api/v1/connections/sync{slash}", json=body).json()
    assert started["job"]["configId"] == CONNECTION
    assert mock.http.post(f"/api/v1/connections/sync{slash}", json=body).status_code == 409
    assert mock.http.post(f"/api/v1/connections/get{slash}", json={"connectionId": UNKNOWN}).status_code == 404

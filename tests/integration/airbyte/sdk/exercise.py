"""What users of the official SDK do. Runs in an environment with airbyte-api alone: `exercise.py HOST SCENARIO`.

The same text runs with its 0.x and its 1.x line. HOST is the mock's root; a scenario that fails ends with a traceback.
"""

import base64
import json
import sys
import time
import urllib.request

import airbyte_api
from airbyte_api import api, models

HOST = sys.argv[1]
CONNECTION = "11111111-1111-4111-8111-111111111111"
WORKSPACE = "44444444-4444-4444-8444-444444444444"
DESTINATION = "33333333-3333-4333-8333-333333333333"
SOURCE = "22222222-2222-4222-8222-222222222222"
UNKNOWN = "99999999-9999-4999-8999-999999999999"
TERMINAL = ("succeeded", "failed", "cancelled")


def sdk(secret="s3cret", **more):
    credentials = models.SchemeClientCredentials(client_id="me", client_secret=secret, **more)
    security = models.Security(client_credentials=credentials)
    return airbyte_api.AirbyteAPI(server_url=f"{HOST}/api/public/v1", security=security)


def fault(method="POST", **body):
    data = json.dumps(body).encode()
    basic = base64.b64encode(b"me:s3cret").decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {basic}"}
    request = urllib.request.Request(f"{HOST}/_mock/faults", data, headers, method=method)
    urllib.request.urlopen(request, timeout=10).close()


def error_of(call):
    """The SDK raises for every answer that is not a success: of a class of its own, or Exception for its token."""
    try:
        return AssertionError(f"not refused: {call()}")
    except Exception as error:  # noqa: BLE001
        return error


def refused(call, status):
    error = error_of(call)
    assert getattr(error, "status_code", None) == status, repr(error)


def trigger(client, job_type="SYNC"):
    request = models.JobCreateRequest(connection_id=CONNECTION, job_type=models.JobTypeEnum[job_type])
    return client.jobs.create_job(request=request).job_response


def get(client, job_id):
    return client.jobs.get_job(request=api.GetJobRequest(job_id=job_id)).job_response


def wait(client, job_id, *statuses):
    deadline = time.monotonic() + 30
    while (job := get(client, job_id)).status.value not in (statuses or TERMINAL):
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


def lists():
    client = sdk()
    assert client.health.get_health_check().raw_response.status_code == 200
    workspaces = client.workspaces.list_workspaces(request=api.ListWorkspacesRequest()).workspaces_response
    assert [w.workspace_id for w in workspaces.data] == [WORKSPACE]
    sources = client.sources.list_sources(request=api.ListSourcesRequest(workspace_ids=[WORKSPACE])).sources_response
    assert [s.source_type for s in sources.data] == ["s3"]
    destinations = client.destinations.list_destinations(request=api.ListDestinationsRequest()).destinations_response
    assert [d.destination_type for d in destinations.data] == ["duckdb"]
    connections = client.connections.list_connections(request=api.ListConnectionsRequest()).connections_response
    assert [c.connection_id for c in connections.data] == [CONNECTION]
    assert connections.data[0].schedule.schedule_type.value == "manual"
    streams = client.streams.get_stream_properties(request=api.GetStreamPropertiesRequest(source_id=SOURCE))
    properties = streams.stream_properties_response
    assert sorted(s.stream_name for s in getattr(properties, "root", properties)) == ["orders", "shops"]


def syncs_and_waits():
    client = sdk()
    job = trigger(client)
    assert job.status.value == "pending"
    done = wait(client, job.job_id)
    assert done.status.value == "succeeded", done
    assert (done.rows_synced, done.job_type.value) == (2, "sync")
    listed = client.jobs.list_jobs(request=api.ListJobsRequest(connection_id=CONNECTION, limit=1)).jobs_response
    assert [j.job_id for j in listed.data] == [job.job_id]
    assert listed.next.startswith("http")


def cancels():
    client = sdk()
    fault(kind="stuck_running", times=1)
    job = trigger(client)
    wait(client, job.job_id, "running")
    answer = client.jobs.cancel_job(request=api.CancelJobRequest(job_id=job.job_id)).job_response
    assert answer.status.value == "cancelled"
    assert wait(client, trigger(client).job_id).status.value == "succeeded"


def makes_and_deletes_a_connection():
    client = sdk()
    shops = models.StreamConfigurations(streams=[models.StreamConfiguration(name="shops")])
    request = models.ConnectionCreateRequest(
        source_id=SOURCE, destination_id=DESTINATION, name="Mine", prefix="mine_", configurations=shops
    )
    made = client.connections.create_connection(request=request).connection_response
    assert (made.name, made.status.value) == ("Mine", "active")
    change = api.PatchConnectionRequest(
        connection_id=made.connection_id,
        connection_patch_request=models.ConnectionPatchRequest(status=models.ConnectionStatusEnum.INACTIVE),
    )
    assert client.connections.patch_connection(request=change).connection_response.status.value == "inactive"
    new_job = models.JobCreateRequest(connection_id=made.connection_id, job_type=models.JobTypeEnum.SYNC)
    refused(lambda: client.jobs.create_job(request=new_job), 409)
    gone = api.DeleteConnectionRequest(connection_id=made.connection_id)
    assert client.connections.delete_connection(request=gone).status_code == 204
    refused(lambda: client.connections.delete_connection(request=gone), 404)


def tags():
    client = sdk()
    request = models.TagCreateRequest(name="nightly", color="FF69B4", workspace_id=WORKSPACE)
    made = client.tags.create_tag(request=request).tag_response
    assert [t.tag_id for t in client.tags.list_tags(request=api.ListTagsRequest()).tags_response.data] == [made.tag_id]
    refused(lambda: client.tags.create_tag(request=request), 409)


def clears():
    client = sdk()
    assert trigger(client, "CLEAR").job_type.value == "reset"


def is_told_of_errors():
    client = sdk()
    fault(kind="stuck_running")
    job = trigger(client)
    refused(lambda: trigger(client), 409)
    refused(lambda: trigger(client, "REFRESH"), 422)
    refused(lambda: get(client, 999), 404)
    refused(lambda: client.connections.get_connection(request=api.GetConnectionRequest(connection_id=UNKNOWN)), 404)
    fault("DELETE")
    wait(client, job.job_id)
    for status in (429, 500):
        fault(kind="status", status=status, operation="getJob", times=1)
        refused(lambda: get(client, job.job_id), status)
    fault(kind="fail", times=1)
    assert wait(client, trigger(client).job_id).status.value == "failed"


def is_refused_with_wrong_credentials():
    error = error_of(lambda: get(sdk(secret="wrong"), 1))
    assert "status code 400" in str(error), repr(error)


def renews_its_token():
    client = sdk(token_url=f"{HOST}/api/public/v1/applications/token")
    job = trigger(client)
    fault(kind="status", status=401, operation="getJob", times=1)
    refused(lambda: get(client, job.job_id), 401)
    assert wait(client, job.job_id).status.value == "succeeded"


if __name__ == "__main__":
    globals()[sys.argv[2]]()

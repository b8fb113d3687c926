"""Scenarios in which Airbyte, or something in front of it, fails."""

import httpx

from commands.embedded.stack import CONNECTION_ID
from commands.scenarios import disturb
from commands.scenarios.catalog import scenario
from commands.scenarios.stage import Stage

SLOW_SYNC_ROWS = 20_000


def jobs(stage: Stage) -> list[int]:
    """Return the ids of the mock's sync jobs, oldest first."""
    found = stage.platform.airbyte("jobs", limit=100, orderBy="createdAt|DESC")["data"]
    return sorted(job["jobId"] for job in found)


@scenario(
    fails="Airbyte answers a few calls with 503",
    does="repeats the calls, and the run completes",
    incident="https://github.com/astronomer/airflow-provider-fivetran-async/issues/139",
    report="the loader's API was unavailable for seconds, and the run failed instead of retrying",
    soak=disturb.fault("status", status=503, times=3),
)
def airbyte_blinks(stage: Stage) -> None:
    stage.fault("status", status=503, times=3)
    orders = stage.orders()
    stage.completes(stage.land(orders))
    stage.await_published(orders)


@scenario(
    fails="Airbyte answers with 502 for longer than a run waits",
    does="fails the run with Airbyte's address; the sensor retries the batch a minute later",
    incident="https://github.com/airbytehq/airbyte/issues/44833",
    report="self-hosted Airbyte answered 502, and no sync could be started",
    soak=disturb.fault("status", status=502),
)
def airbyte_away(stage: Stage) -> None:
    fault = stage.fault("status", status=502)
    orders = stage.orders()
    key = stage.land(orders)
    stage.fails(key, "AirbyteUnavailable")
    stage.unpublished(orders)
    stage.end_fault(fault)
    stage.await_published(orders)


@scenario(
    fails="Airbyte refuses new jobs with 429",
    does="waits, and retries until a job is accepted",
    incident="https://github.com/airbytehq/PyAirbyte/issues/797",
    report="the client of Airbyte Cloud's API did not handle 429",
    soak=disturb.fault("status", status=429, operation="createJob"),
)
def airbyte_rate_limit(stage: Stage) -> None:
    fault = stage.fault("status", status=429, operation="createJob", times=4)
    orders = stage.orders()
    stage.completes(stage.land(orders))
    stage.expect(stage.struck(fault) == 4, "four refusals", stage.struck(fault))
    stage.await_published(orders)


@scenario(
    fails="Airbyte's answer is lost when a sync starts",
    does="finds the job that was created, and does not start a second one",
    incident="https://github.com/kestra-io/plugin-dbt/issues/313",
    report="the answer to a trigger was lost, and the next run started the job again",
    soak=disturb.fault("status", status=502, operation="createJob", after=True, times=1),
)
def airbyte_answer_lost(stage: Stage) -> None:
    before = jobs(stage)
    stage.fault("status", status=502, operation="createJob", after=True, times=1)
    orders = stage.orders()
    stage.completes(stage.land(orders))
    stage.expect(len(jobs(stage)) == len(before) + 1, "one new sync job", jobs(stage))
    stage.await_published(orders)


@scenario(
    fails="somebody else's sync is running when the run starts its own",
    does="waits for that sync, then starts another for the files that it missed",
    incident="https://github.com/DalgoT4D/webapp/issues/252",
    report="a sync that was already running made the flow fail with 409 Conflict",
)
def airbyte_already_running(stage: Stage) -> None:
    before = jobs(stage)
    stuck = stage.fault("stuck_running", times=1)
    stage.step("start a sync by hand")
    body = {"connectionId": CONNECTION_ID, "jobType": "sync"}
    httpx.post(f"{stage.platform.airbyte_url}/jobs", json=body, trust_env=False, timeout=30).raise_for_status()
    orders = stage.orders()
    key = stage.land(orders)
    polled = stage.fault("slow", operation="getJob", seconds=0)
    stage.await_strike(polled)
    stage.step("the run waits for the running sync")
    stage.end_fault(stuck)
    stage.completes(key)
    stage.expect(len(jobs(stage)) <= len(before) + 2, "the sync by hand, and at most one more", jobs(stage))
    stage.await_published(orders)


@scenario(
    fails="a sync hangs until a person cancels it in Airbyte",
    does="fails the run with that reason; the sensor retries the batch a minute later",
    incident="https://github.com/airbytehq/airbyte/issues/55812",
    report="all syncs hung for hours; they were cancelled by hand",
    soak=disturb.fault("stuck_running", times=1),
)
def airbyte_sync_hangs(stage: Stage) -> None:
    stuck = stage.fault("stuck_running", times=1)
    orders = stage.orders()
    key = stage.land(orders)
    stage.await_strike(stuck)
    job = jobs(stage)[-1]
    stage.step(f"cancel job {job} in Airbyte")
    httpx.delete(f"{stage.platform.airbyte_url}/jobs/{job}", trust_env=False, timeout=30).raise_for_status()
    stage.fails(key, "SyncCancelled")
    stage.unpublished(orders)
    stage.await_published(orders)


@scenario(
    fails="a sync succeeds without moving any rows",
    does="fails the run, names the files without rows, and parks the batch; its rows arrive after a release",
    incident="https://github.com/airbytehq/airbyte/issues/32914",
    report="syncs succeeded with 0 records for days, and nobody was alerted",
    alert="batch_parked",
    soak=disturb.fault("zero_rows", times=1),
)
def airbyte_zero_rows(stage: Stage) -> None:
    stage.fault("zero_rows", times=1)
    orders = stage.orders()
    key = stage.land(orders)
    stage.fails(key, "FilesMissing", key)
    stage.await_parked()
    stage.await_alert("batch_parked")
    stage.unpublished(orders)
    stage.release()
    stage.await_published(orders)


@scenario(
    fails="a file disappears between Airbyte's listing and its read, and comes back",
    does="lets Airbyte retry, and the run completes",
    incident="https://github.com/generalui/s3p/issues/78",
    report="an object that was deleted after the listing ended the whole copy",
    soak=disturb.fault("file_disappears", times=1),
)
def airbyte_file_disappears(stage: Stage) -> None:
    stage.fault("file_disappears", times=1)
    orders = stage.orders()
    stage.land(orders)
    stage.await_published(orders)


@scenario(
    fails="Airbyte is killed in the middle of a sync",
    does="waits for Airbyte, whose next attempt loads each row once",
    incident="https://github.com/airbytehq/airbyte/issues/39583",
    report="Airbyte was restarted during a sync, and every record was loaded twice",
    soak=disturb.kill("airbyte"),
)
def airbyte_killed(stage: Stage) -> None:
    files = [stage.orders(SLOW_SYNC_ROWS // 400, day=day) for day in (5, 6, 7)]
    before = len(jobs(stage))
    for each in files:
        stage.land(each)
    stage.platform.eventually(lambda: len(jobs(stage)) > before or None, "a sync")
    stage.kill("airbyte")
    stage.start()
    stage.await_published(*files)


@scenario(
    fails="Airbyte no longer accepts the credentials",
    does="fails the run and names the two settings; the files wait until the credentials are right",
    incident="https://github.com/apache/airflow/issues/46542",
    report="every request to start a sync was refused with 401",
    soak=disturb.fault("status", status=401),
)
def airbyte_credentials(stage: Stage) -> None:
    fault = stage.fault("status", status=401)
    orders = stage.orders()
    key = stage.land(orders)
    stage.fails(key, "AirbyteUnauthorised", "AIRBYTE_CLIENT_ID")
    stage.unpublished(orders)
    stage.end_fault(fault)
    stage.await_published(orders)

"""Scenarios in which processes die or hang, and people pause, cancel and delete things."""

import time

from commands.scenarios import disturb
from commands.scenarios.catalog import scenario
from commands.scenarios.orders import Orders
from commands.scenarios.stage import PIPELINE, POOL, Stage

HUNG_SECONDS, TURNS_SECONDS = 20, 600
DAILY = "full_pipeline/daily-full-pipeline"
ALL_BUT_S3 = ("worker", "sensor", "airbyte", "prefect-server", "postgres")


def killed_at_work(stage: Stage, orders: Orders, *services: str) -> None:
    """Kill services while the run for a file is active, and start them again. Each row must arrive once."""
    stage.run_for(stage.land(orders), "RUNNING")
    stage.kill(*services)
    stage.start()
    stage.await_published(orders)


@scenario(
    fails="the worker is killed while a run is active",
    does="retries the run once its process is known to be dead",
    incident="https://github.com/PrefectHQ/prefect/issues/16746",
    report="runs of a dead worker stayed Running forever, and kept their slots",
    soak=disturb.kill("worker"),
)
def worker_killed(stage: Stage) -> None:
    killed_at_work(stage, stage.orders(), "worker")


@scenario(
    fails="no worker runs when files arrive",
    does="keeps the run until a worker starts",
    incident="https://github.com/PrefectHQ/prefect/issues/16147",
    report="runs stayed Late, and nothing said that there was no worker",
    alert="worker_gone",
)
def worker_gone(stage: Stage) -> None:
    stage.kill("worker")
    orders = stage.orders()
    key = stage.land(orders)
    run = stage.run_for(key, "SCHEDULED")
    stage.expect(run["start_time"] is None, "a run that waits for a worker", run["state"])
    stage.await_alert("worker_gone")
    stage.start()
    stage.await_published(orders)


@scenario(
    fails="Prefect's server is killed while a run holds the warehouse",
    does="releases the warehouse when the server is back; each row arrives once",
    incident="https://github.com/PrefectHQ/prefect/issues/9394",
    report="after an outage of the API, the agent submitted no more runs",
    soak=disturb.kill("prefect-server"),
)
def prefect_killed(stage: Stage) -> None:
    orders = stage.orders()
    key = stage.land(orders)
    stage.run_for(key, "RUNNING")
    stage.await_building()
    stage.kill("prefect-server")
    stage.start()
    stage.await_published(orders)


@scenario(
    fails="Prefect's database is killed while a run is active",
    does="continues when the database is back; each row arrives once",
    incident="https://github.com/CodeChain-io/codechain-dashboard/issues/42",
    report="after PostgreSQL was restarted by an update, the server did not reconnect",
    soak=disturb.kill("postgres"),
)
def database_killed(stage: Stage) -> None:
    killed_at_work(stage, stage.orders(), "postgres")


@scenario(
    fails="S3 does not answer for a while",
    does="retries until S3 answers, and loads the files that are in the bucket",
    incident="https://aws.amazon.com/message/41926/",
    report="S3 in one region could not serve requests for hours",
    soak=disturb.pause("localstack"),
)
def s3_hangs(stage: Stage) -> None:
    orders = stage.orders()
    stage.land(orders)
    stage.step(f"S3 does not answer for {HUNG_SECONDS} s")
    stage.platform.pause("localstack")
    try:
        time.sleep(HUNG_SECONDS)
    finally:
        stage.platform.resume("localstack")
    stage.await_published(orders)


@scenario(
    fails="the sensor is killed, and files arrive while it is down",
    does="finds the files that arrived, each once",
    incident="https://github.com/logstash-plugins/logstash-input-s3/issues/191",
    report="a reader that only compared with the newest date missed files",
    soak=disturb.kill("sensor"),
)
def sensor_killed(stage: Stage) -> None:
    first, second = stage.orders(), stage.orders()
    stage.land(first)
    stage.kill("sensor")
    stage.land(second)
    stage.start()
    stage.await_published(first, second)


@scenario(
    fails="the whole platform except S3 loses power during a run",
    does="starts, and continues the interrupted runs; each row arrives once",
    incident="https://github.com/PrefectHQ/prefect/issues/18257",
    report="after a crash of the machine, its runs stayed Running and were not resumed",
    soak=disturb.kill(*ALL_BUT_S3),
)
def power_cut(stage: Stage) -> None:
    killed_at_work(stage, stage.orders(50), *ALL_BUT_S3)


@scenario(
    fails="somebody pauses the work pool and forgets it",
    does="keeps the runs until the pool is resumed",
    incident="https://github.com/PrefectHQ/prefect/issues/19313",
    report="runs piled up while a work pool was paused",
    alert="pool_paused",
    soak=disturb.switch(POOL, {"is_paused": True}, {"is_paused": False}),
)
def pool_paused(stage: Stage) -> None:
    stage.step("pause the work pool")
    stage.platform.prefect("PATCH", POOL, {"is_paused": True})
    orders = stage.orders()
    key = stage.land(orders)
    run = stage.run_for(key, "SCHEDULED")
    stage.expect(run["start_time"] is None, "a run that waits", run["state"])
    stage.await_alert("pool_paused")
    stage.step("resume the work pool")
    stage.platform.prefect("PATCH", POOL, {"is_paused": False})
    stage.await_published(orders)


@scenario(
    fails="somebody deletes the deployment that the sensor starts",
    does="leaves the files in the bucket; the next start of the platform registers the deployment again",
    incident="https://github.com/PrefectHQ/prefect/issues/15697",
    report="a deployment was deleted, and its runs failed in a loop",
    alert="deployment_gone",
)
def deployment_deleted(stage: Stage) -> None:
    stage.step(f"delete the deployment {PIPELINE}")
    found = stage.platform.prefect("GET", f"deployments/name/{PIPELINE}")
    stage.platform.prefect("DELETE", f"deployments/{found['id']}")
    orders = stage.orders()
    stage.land(orders)
    stage.platform.eventually(lambda: "no deployment" in stage.platform.logs("sensor") or None, "the sensor's warning")
    stage.step("the sensor warns that the deployment does not exist")
    stage.await_alert("deployment_gone")
    stage.step("register the deployments")
    stage.platform.register()
    stage.await_published(orders)


@scenario(
    fails="a person cancels the run of a batch",
    does="parks the batch instead of retrying it; its rows arrive after a release",
    incident="https://github.com/PrefectHQ/prefect/issues/17482",
    report="a cancelled run continued, and started more tasks",
    alert="batch_parked",
)
def run_cancelled(stage: Stage) -> None:
    stuck = stage.fault("stuck_running", times=1)
    orders = stage.orders()
    run = stage.run_for(stage.land(orders), "RUNNING")
    stage.await_strike(stuck)
    stage.step("cancel the run")
    stage.platform.prefect("POST", f"flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})
    stage.await_parked()
    stage.await_alert("batch_parked")
    stage.unpublished(orders)
    stage.release()
    stage.await_published(orders)


@scenario(
    fails="three runs of the pipeline are started at once",
    does="lets them use the warehouse in turn, and all complete",
    incident="https://github.com/AltimateAI/vscode-dbt-power-user/issues/1750",
    report="two processes opened the same DuckDB file, and one failed with a lock error",
    soak=disturb.runs(PIPELINE, 3),
)
def runs_at_once(stage: Stage) -> None:
    orders = stage.orders()
    stage.land(orders)
    stage.step("start three runs by hand")
    started = [stage.platform.start_run(PIPELINE) for _ in range(3)]
    ended = [stage.platform.end_of_run(run, TURNS_SECONDS)["state_type"] for run in started]
    stage.expect(ended == ["COMPLETED"] * 3, "three completed runs", ended)
    stage.await_published(orders)


@scenario(
    fails="somebody switches off the daily schedule",
    does="raises an alert; new files are still loaded, since the sensor starts their runs",
    incident="https://github.com/Pocket/data-flows/pull/217",
    report="all schedules had been disabled, and nobody knew since when",
    alert="schedule_off",
)
def schedule_off(stage: Stage) -> None:
    found = stage.platform.prefect("GET", f"deployments/name/{DAILY}")
    (schedule,) = found["schedules"]
    path = f"deployments/{found['id']}/schedules/{schedule['id']}"
    stage.step(f"switch the schedule of {DAILY} off")
    stage.platform.prefect("PATCH", path, {"active": False})
    orders = stage.orders()
    stage.land(orders)
    stage.await_alert("schedule_off")
    stage.await_published(orders)
    stage.step("switch it on")
    stage.platform.prefect("PATCH", path, {"active": True})

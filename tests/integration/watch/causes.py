"""A context manager for each cause of an alert: the cause begins with the block and ends with it."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from prefect.states import Late, Running
from pydantic import SecretStr

from blocks.batches import Batch, Failed
from blocks.landing import LandedFile
from blocks.parked import ParkedStore
from tests.integration.watch.world import HOUR, NAMES, POOL, SECRET, World

ALICE = "alice@example.com"
SYNC = f"SyncFailed: Airbyte job 12 of 'NYC' failed: inbound/flights/a.csv, line 3: '{ALICE}' is no integer. Mend it."
CURSOR = "_cursors/inbound%2F/*"


@contextmanager
def failed_run(world: World) -> Iterator[None]:
    for _ in range(3):
        url = f"http://user:{SECRET}@airbyte:8006"
        world.failed(f"AirbyteUnavailable: Airbyte does not answer at {url}.", "daily-full-pipeline")
    yield
    world.completed()


@contextmanager
def refused_publication(world: World) -> Iterator[None]:
    world.failed(f"DbtFailed: `dbt build` failed on not_null_a (fail): Got 2 results, {ALICE}. Mend it.")
    yield
    world.completed()


@contextmanager
def parked_batch(world: World) -> Iterator[None]:
    store = ParkedStore(world.s3, world.bucket, CURSOR)
    parked = [parked_as(number, SYNC.replace("12", str(number))) for number in range(2)]
    for each in parked:
        store.park(each)
    yield
    for each in parked:
        store.forget(each)


def parked_as(number: int, error: str) -> Failed:
    file = LandedFile(key=f"inbound/flights/{number}.csv", etag="e", size=1, last_modified="2026-01-01T00:00:00Z")
    return Failed(batch=Batch(files=[file], attempt=5), reason=f"Failed: Flow run encountered an exception: {error}")


@contextmanager
def stale_source(world: World) -> Iterator[None]:
    world.freshness(world.now() - 26 * HOUR)
    yield
    world.freshness()


@contextmanager
def late_run(world: World) -> Iterator[None]:
    run = world.run(Late(scheduled_time=world.now() - timedelta(minutes=6)))
    yield
    world.client.delete_flow_run(run.id)


@contextmanager
def gone_worker(world: World) -> Iterator[None]:
    world.client.request("DELETE", f"/work_pools/{POOL}/workers/a worker")
    late = world.run(Late(scheduled_time=world.now() - HOUR))
    yield
    world.client.delete_flow_run(late.id)
    world.client.send_worker_heartbeat(POOL, "a worker", 3600)


@contextmanager
def paused_pool(world: World) -> Iterator[None]:
    world.patch(f"/work_pools/{POOL}", {"is_paused": True})
    yield
    world.patch(f"/work_pools/{POOL}", {"is_paused": False})


@contextmanager
def schedule_off(world: World) -> Iterator[None]:
    daily = world.deployment("daily-full-pipeline")
    path = f"/deployments/{daily.id}/schedules/{daily.schedules[0].id}"
    world.patch(path, {"active": False})
    yield
    world.patch(path, {"active": True})


@contextmanager
def gone_deployment(world: World) -> Iterator[None]:
    from services.bootstrap.drift import Platform

    world.client.delete_deployment(world.deployment("example-flow").id)
    yield
    Platform(world.client, NAMES, profile=None, owner="tests", watched=False).apply(lambda _: None)


@contextmanager
def slow_run(world: World) -> Iterator[None]:
    for _ in range(3):
        world.completed("dbt-transform")
    run = world.run(Running(), "dbt-transform")
    world.passed += timedelta(minutes=2)
    yield
    world.client.delete_flow_run(run.id)


@contextmanager
def drift(world: World) -> Iterator[None]:
    row = {"name": "source_no_airbyte_changes_raw_flights_", "resource_type": "test", "message": ALICE}
    world.artifact("dbt-results", [{**row, "status": "warn"}])
    yield
    world.artifact("dbt-results", [{**row, "status": "pass"}])


@contextmanager
def fallen_volume(world: World) -> Iterator[None]:
    for days in range(7, 0, -1):
        world.loaded(1000, days)
    world.loaded(400, 0)
    yield
    world.loaded(600, 0)


@contextmanager
def low_disk(world: World) -> Iterator[None]:
    world.settings.alert_disk_gb = 1e9
    yield
    world.settings.alert_disk_gb = 0


@contextmanager
def expiring_secret(world: World) -> Iterator[None]:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": (world.now() + 20 * HOUR).timestamp()}).encode()).decode()
    world.settings.snowflake_oauth_token = SecretStr(f"{SECRET}.{claims}.c2ln")
    yield
    world.settings.snowflake_oauth_token = SecretStr("")


CAUSES: dict[str, Callable[[World], object]] = {
    "run_failed": failed_run,
    "publication_refused": refused_publication,
    "batch_parked": parked_batch,
    "source_stale": stale_source,
    "run_late": late_run,
    "worker_gone": gone_worker,
    "pool_paused": paused_pool,
    "schedule_off": schedule_off,
    "deployment_gone": gone_deployment,
    "run_slow": slow_run,
    "drift": drift,
    "volume_fall": fallen_volume,
    "disk_low": low_disk,
    "secret_expiring": expiring_secret,
}

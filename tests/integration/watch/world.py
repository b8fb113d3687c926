"""A platform for the watch: a real Prefect server, S3 and receiver; time passes as a test says."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import uvicorn
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Failed, Running
from pydantic import SecretStr

from blocks.incidents import LOOKED, IncidentStore
from blocks.names import Names
from blocks.settings import PrefectServer, Settings
from services.bootstrap.drift import Platform
from services.receiver.__main__ import create_app
from services.receiver.messages import Messages
from services.watch.prefect_api import Prefect
from services.watch.watch import Watch
from tests.integration.servers import serving

NAMES = Names("watched")
POOL = NAMES.name("local")
HOUR = timedelta(hours=1)
SECRET = "marked-secret"
"""Part of each secret that the platform has; no message may have it."""
LASTING = timedelta(seconds=100)
"""Longer than any cause must last before it is reported."""
SETTLED = timedelta(minutes=4)
"""Longer than what starts with the watch, or after Prefect's server has come back, may take."""
FRESH = "raw.flights"


@contextmanager
def registered() -> Iterator[SyncPrefectClient]:
    """A server that knows the platform's deployments, and has a worker that asks for work."""
    with get_client(sync_client=True) as client:
        Platform(client, NAMES, profile=None, owner="tests", watched=False).apply(lambda _: None)
        # A test's clock may pass any hour, and there is no worker that would start what is planned for it.
        rare = {"schedule": {"cron": "0 0 29 2 *"}}
        for each in client.read_deployments():
            for schedule in each.schedules:
                path = f"/deployments/{each.id}/schedules/{schedule.id}"
                client.request("PATCH", path, json=rare)  # type: ignore[arg-type]
        yield client
        for each in client.read_deployments():
            client.delete_deployment(each.id)
        client.delete_work_pool(POOL)


class World:
    """Everything well, until a test makes it otherwise."""

    def __init__(self, client: SyncPrefectClient, s3_url: str, folder: Path, port: int) -> None:
        self.client, self.folder, self.port = client, folder, port
        self.passed = -SETTLED
        self.messages = Messages(folder)
        self.bucket = f"watch-{port}"
        self.settings = Settings(
            s3_endpoint_url=s3_url,
            s3_bucket=self.bucket,
            aws_access_key_id="test",
            aws_secret_access_key=SecretStr(f"{SECRET}-of-s3"),
            airbyte_client_secret=SecretStr(f"{SECRET}-of-airbyte"),
            snowflake_password=SecretStr(f"{SECRET}-of-snowflake"),
            heartbeat_url=SecretStr(f"http://127.0.0.1:9/{SECRET}-of-the-heartbeat"),
            aws_default_region="us-east-1",
            alert_webhook_url=SecretStr(f"http://127.0.0.1:{port}/T0/{SECRET}-of-the-url"),
            alerts_dir=folder,
            alert_disk_gb=0,
            lake_dir=folder / "lake",
        )
        self.s3: Any = boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="test",
                                    aws_secret_access_key="test")  # fmt: skip
        self.s3.create_bucket(Bucket=self.bucket)
        self.server = Prefect(PrefectServer(api_url=str(client.api_url), api_key=SecretStr(f"{SECRET}-of-prefect")))
        client.send_worker_heartbeat(POOL, "a worker", 3600)
        self.freshness()
        self.artifact("dbt-results", [])
        self.watch = self.start()
        self.look(SETTLED)

    # -- time and the watch -------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed

    def start(self) -> Watch:
        """Start the watch, or start it anew: what it knows then is what it has stored."""
        self.watch = Watch(IncidentStore(self.folder), self.server, self.settings, NAMES, clock=self.now)
        return self.watch

    def look(self, after: timedelta = timedelta(0), sensor: bool = True) -> None:
        """Let time pass, then have the watch look and send."""
        self.passed += after
        if sensor:
            self.sensor_looks()
        self.watch.look()
        self.watch.deliver()

    def lasting(self, **options: Any) -> None:
        """Let what is wrong, or well again, last."""
        self.look(**options)
        self.look(LASTING, **options)

    def sensor_looks(self) -> None:
        (self.folder / LOOKED).touch()
        stamp = self.now().timestamp()
        os.utime(self.folder / LOOKED, (stamp, stamp))

    @contextmanager
    def receiver(self) -> Iterator[None]:
        config = uvicorn.Config(create_app(self.messages), port=self.port, log_level="warning")
        with serving(uvicorn.Server(config)):
            yield

    def told(self) -> list[tuple[str, str]]:
        """What was told since this was last asked: the state and the kind of each message."""
        found = [(each["state"], each["kind"]) for each in self.messages.read()]
        self.messages.file.unlink(missing_ok=True)
        return found

    def texts(self) -> str:
        return self.messages.file.read_text() + (self.folder / "incidents.json").read_text()

    # -- what happens -------------------------------------------------------------------------------------

    def deployment(self, name: str) -> Any:
        return next(each for each in self.client.read_deployments() if each.name == NAMES.name(name))

    def run(self, state: State[Any], deployment: str = "full-pipeline", **parameters: Any) -> FlowRun:
        """A run of a deployment that is in a state."""
        run = self.client.create_flow_run_from_deployment(
            self.deployment(deployment).id, parameters=parameters, state=Running()
        )
        self.client.set_flow_run_state(run.id, state, force=True)
        return run

    def failed(self, error: str, deployment: str = "full-pipeline", **parameters: Any) -> FlowRun:
        return self.run(Failed(message=f"Flow run encountered an exception: {error}"), deployment, **parameters)

    def completed(self, deployment: str = "full-pipeline") -> FlowRun:
        return self.run(Completed(), deployment)

    def artifact(self, key: str, rows: list[dict[str, Any]], description: str = "") -> UUID:
        made = ArtifactCreate(key=NAMES.artifact(key), type="table", data=json.dumps(rows), description=description)
        return self.client.create_artifact(made).id

    def freshness(self, loaded: datetime | None = None) -> None:
        at = loaded or self.now()
        self.artifact(
            "freshness",
            [{"source": FRESH, "status": "pass", "loaded_at": str(at), "age_hours": 0.1, "limit_hours": 25.0}],
        )

    def loaded(self, rows: int, days: int) -> None:
        """A load of a stream, so many days ago: the server dates events itself, so its database is corrected."""
        of = {"connection": "NYC", "job": 1, "stream": f"flights_{self.port}", "rows": rows, "bytes": 1}
        made = self.artifact("airbyte-sync", [of, {**of, "stream": "(all)"}])
        with closing(sqlite3.connect(Path(os.environ["PREFECT_HOME"], "prefect.db"), timeout=30)) as database, database:
            moved = (f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d %H:%M:%S.%f}", made.hex)
            assert database.execute("update artifact set created = ? where replace(id, '-', '') = ?", moved).rowcount

    def expire_windows(self) -> None:
        """Have the windows of the server's automations end, as they do while it is away."""
        ended = f"{datetime.now(UTC) - HOUR:%Y-%m-%d %H:%M:%S.%f}"
        with closing(sqlite3.connect(Path(os.environ["PREFECT_HOME"], "prefect.db"), timeout=30)) as database, database:
            assert database.execute('update automation_bucket set start = ?, "end" = ?', (ended, ended)).rowcount

    def patch(self, path: str, body: dict[str, Any]) -> None:
        self.client.request("PATCH", path, json=body)  # type: ignore[arg-type]

    def forget(self) -> None:
        """Remove the runs that the test has made."""
        filters = FlowRunFilter(tags=FlowRunFilterTags(all_=[NAMES.tag]))
        while runs := self.client.read_flow_runs(flow_run_filter=filters):
            for each in runs:
                self.client.delete_flow_run(UUID(str(each.id)))

"""The embedded services, the places of their state, and the environment variables for flows that use them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import boto3

from blocks.host import plain_path
from blocks.settings import Settings
from commands.embedded import prefect_database
from commands.embedded.processes import Processes
from commands.embedded.queue import make_queue, queue_url
from services.airbyte.catalog.config_file import ConfigError, load_config
from services.content import BUCKET, CONNECTIONS_FILE, LANDING, PREFIX, PROJECT

DATA = PROJECT / "data"
CONNECTION_ID = "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    # The user's own profiles, endpoints and certificates may also be in files.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Stack:
    """S3, Airbyte and Prefect on three ports of 127.0.0.1, with their state in one folder.

    With `events`, the landing bucket sends its events to a queue for the sensor. With `alerts_port`, the watch sends
    its messages to a receiver there. With `console_port`, the page is served there. `project` is the checkout whose
    connections and dbt project are used; the code is always this checkout's.
    """

    state: Path
    published: Path
    s3_port: int
    airbyte_port: int
    prefect_port: int
    events: bool = False
    alerts_port: int = 0
    console_port: int = 0
    project: Path = PROJECT

    def __post_init__(self) -> None:
        """Check that the path of the state can be used, before anything starts."""
        plain_path(self.state / "warehouse.duckdb")

    @property
    def s3_url(self) -> str:
        """Address of S3."""
        return f"http://127.0.0.1:{self.s3_port}"

    @property
    def airbyte_url(self) -> str:
        """Address of Airbyte's public API."""
        return f"http://127.0.0.1:{self.airbyte_port}/api/public/v1"

    @property
    def prefect_url(self) -> str:
        """Address of Prefect's UI. The API is below /api."""
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def console_url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.console_port}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of a process that runs flows."""
        return {
            **CREDENTIALS,
            **self._prefect,
            "PREFECT_API_URL": f"{self.prefect_url}/api",
            "AIRBYTE_SERVER_URL": self.airbyte_url,
            **self._connections,
            "S3_ENDPOINT_URL": self.s3_url,
            "S3_BUCKET": BUCKET,
            "S3_PREFIX": PREFIX,
            "SENSOR_QUEUE_URL": queue_url(self.s3_url) if self.events else "",
            "DBT_PROJECT_DIR": str(self.project / "dbt_project"),
            "DBT_PROFILES_DIR": str(self.project / "dbt_project"),
            # With the flows' target, dbt on the command line reuses what they have parsed.
            "DBT_TARGET": "dev",
            "DBT_TARGET_PATH": str(self.state.parent / "cache" / "dbt"),
            "DBT_LOG_PATH": str(self.state / "logs"),
            # dbt on the command line reads this variable, and has no default for it.
            "FRESHNESS_THRESHOLD_HOURS": str(Settings.model_fields["freshness_threshold_hours"].default),
            "LAKE_DIR": str(self.state / "lake"),
            "WAREHOUSE_PATH": str(plain_path(self.state / "warehouse.duckdb")),
            "PUBLISHED_PATH": str(self.published),
            "CONSOLE_URL": self.console_url if self.console_port else "",
            "DOCS_DIR": str(self.published.parent / "docs") if self.console_port else "",
            "ALERTS_DIR": str(self.alerts),
            "ALERT_WEBHOOK_URL": f"http://127.0.0.1:{self.alerts_port}/" if self.alerts_port else "",
        }

    @cached_property
    def _connections(self) -> dict[str, str]:
        """The variables that name the active connections of the project, the platform's own first."""
        try:
            found = load_config(self.project / CONNECTIONS_FILE).connections
        except ConfigError:
            found = []  # the mock says what is wrong with the file
        ids = [str(each.connectionId) for each in found if each.status == "active"]
        first = ids[0] if ids and CONNECTION_ID not in ids else CONNECTION_ID
        others = [each for each in ids if each != first]
        return {"AIRBYTE_CONNECTION_ID": first, "AIRBYTE_CONNECTION_IDS": ",".join(others)}

    @property
    def _prefect(self) -> dict[str, str]:
        return {
            "PREFECT_HOME": str(self.state / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # By default, leases are in memory, and a slot that is held when the server is killed is held forever.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            # The UI calls the address that it was loaded from, which may also be localhost.
            "PREFECT_SERVER_UI_API_URL": "/api",
            "DO_NOT_TRACK": "1",
            # This server needs no CSRF token, and otherwise each new client would ask whether it does.
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "0.5",
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "15",
        }

    @property
    def alerts(self) -> Path:
        """The folder with open incidents and messages about them."""
        return self.state / "alerts"

    @property
    def samples_landed(self) -> Path:
        """A file that exists once the landing folder's files have landed, so that files deleted later stay deleted."""
        return self.state / "s3" / "samples-landed"

    def start(self, processes: Processes) -> None:
        """Start the services. `wait_until_ready` waits until they answer."""
        self.start_prefect(processes)
        self.start_stand_ins(processes)

    def start_prefect(self, processes: Processes) -> None:
        """Start Prefect's server, on its existing database if there is one."""
        prefect_database.create(self._database)
        # Relative to the folder of the processes: a `?` in an absolute path would start the URL's query.
        database = f"sqlite+aiosqlite:///{os.path.relpath(self._database, processes.logs)}"
        variables = {**self._prefect, "PREFECT_SERVER_DATABASE_CONNECTION_URL": database}
        processes.start("prefect", ["-m", "commands.embedded.prefect_server", str(self.prefect_port)], variables)

    def start_stand_ins(self, processes: Processes) -> None:
        """Start S3 and the mock Airbyte, with their existing data."""
        ports = ["--s3-port", str(self.s3_port), "--airbyte-port", str(self.airbyte_port)]
        places = {"lake": self.state / "lake", "state": self.state / "airbyte", "s3": self.state / "s3"}
        folders = [f"--{name}-dir={place}" for name, place in places.items()]
        config = f"--config={self.project / CONNECTIONS_FILE}"
        processes.start("stand-ins", ["-m", "commands.embedded.stand_ins", *ports, config, *folders], CREDENTIALS)

    def wait_until_ready(self, processes: Processes) -> None:
        """Wait until all services answer.

        Raises:
            commands.embedded.processes.ServiceFailed: a service ended, or took too long.
        """
        processes.wait_until_ready("stand-ins", f"{self.airbyte_url}/health")
        processes.wait_until_ready("prefect", f"{self.prefect_url}/api/health")
        prefect_database.keep_as_template(self._database)

    def land(self, files: Iterable[Path]) -> list[str]:
        """Upload files to the landing bucket, each to its stream's folder. Return their keys."""
        session = boto3.Session(
            CREDENTIALS["AWS_ACCESS_KEY_ID"],
            CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        )
        s3 = session.client("s3", endpoint_url=self.s3_url)
        s3.create_bucket(Bucket=BUCKET)
        if self.events:
            make_queue(s3, session.client("sqs", endpoint_url=self.s3_url), BUCKET, PREFIX)
        keys = {f"{PREFIX}{file.parent.name}/{file.name}": file for file in files}
        for key, file in keys.items():
            s3.upload_file(str(file), BUCKET, key)
        return list(keys)

    @property
    def _database(self) -> Path:
        return self.state / "prefect" / "prefect.db"


def landing_files(landing: Path = LANDING) -> list[Path]:
    """Return the files of the landing folder, sorted by stream and name."""
    return sorted(file for file in landing.glob("*/*") if file.is_file() and not file.name.startswith("."))

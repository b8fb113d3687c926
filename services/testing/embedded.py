"""The platform of `make dev`, for tests and scenarios, with its own state and on free ports."""

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import duckdb
import httpx

from blocks.lake import reading
from blocks.landing import AwsAccess, s3_client
from commands.embedded import dev
from commands.embedded.processes import Processes, free_ports
from commands.embedded.stack import CREDENTIALS, Stack, landing_files
from services.content import BUCKET, PREFIX, PROJECT
from services.receiver.messages import Messages
from services.testing.running import Running, unless_busy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROCESS = {
    "localstack": "stand-ins",
    "airbyte": "stand-ins",
    "postgres": "prefect",
    "prefect-server": "prefect",
    "worker": "worker",
    "sensor": "sensor",
    "watch": "watch",
    "alerts": "alerts",
    "console": "console",
}
"""The process for each Compose service. S3 and Airbyte share one, and so do Prefect and its database."""


class EmbeddedPlatform(Running):
    """The platform without Docker, which does not disturb others on this machine.

    Use it in a `with` block, which starts and stops the services. The state stays, so you can read the logs.

    Args:
        state: folder for the state, which is emptied at the start. Caches are kept beside it.
        project: checkout whose content it uses. At the start, the first landing file of each stream is landed.
    """

    bucket, prefix = BUCKET, PREFIX

    def __init__(self, state: Path, project: Path = PROJECT) -> None:
        shutil.rmtree(state, ignore_errors=True)
        s3, airbyte, prefect, alerts, console = free_ports(5)
        published = state / "published" / "warehouse.duckdb"
        self.stack = Stack(
            state, published, s3, airbyte, prefect, alerts_port=alerts, console_port=console, project=project
        )
        self.stack.published.parent.mkdir(parents=True)
        self.processes = Processes(state / "logs")
        self.lake = str(state / "lake")

    def __enter__(self) -> Self:
        try:
            self.stack.start(self.processes)
            self.stack.wait_until_ready(self.processes)
            files = landing_files(self.stack.project / "localstack" / "landing")
            self.stack.land({file.parent: file for file in reversed(files)}.values())
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.__exit__(None, None, None)

    # -- the services -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the processes that are down, and wait until all services are ready.

        If Prefect's server was killed, the worker is restarted too: as after a new `make dev`, it retries its runs.
        """
        if not self._runs("prefect"):
            if self._runs("worker"):
                self.kill("worker")
            self.stack.start_prefect(self.processes)
        if not self._runs("stand-ins"):
            self.stack.start_stand_ins(self.processes)
        ended = [name for name in dev.COMMANDS if not self._runs(name)]
        for name in ended:
            self.processes.children.pop(name, None)
        self.stack.wait_until_ready(self.processes)
        if "worker" in ended:
            self.register()
        for name in ended:
            dev.start(self.processes, self.stack, name)

    def _runs(self, name: str) -> bool:
        child = self.processes.children.get(name)
        return child is not None and child.poll() is None

    def kill(self, *services: str) -> None:
        """Kill services, as a power cut would, and a worker's runs, which have their own process groups."""
        runs = descendants(self.processes.children["worker"].pid) if "worker" in services else []
        self._signal(signal.SIGKILL, services)
        for run in runs:
            with suppress(ProcessLookupError):
                os.kill(run, signal.SIGKILL)
        for name in {PROCESS[each] for each in services}:
            self.processes.children[name].wait()

    def pause(self, *services: str) -> None:
        """Freeze services: they keep their connections and do not answer."""
        self._signal(signal.SIGSTOP, services)

    def resume(self, *services: str) -> None:
        """Resume paused services."""
        self._signal(signal.SIGCONT, services)

    def _signal(self, number: signal.Signals, services: tuple[str, ...]) -> None:
        for name in {PROCESS[each] for each in services}:
            with suppress(ProcessLookupError):
                os.killpg(self.processes.children[name].pid, number)

    def register(self) -> None:
        """Register the deployments of prefect.yaml, as each start of the platform does."""
        dev.deploy(self.processes, self.stack)

    def logs(self, *services: str, lines: int = 50) -> str:
        """Return the newest lines of the services' logs, or of all logs if no service is named."""
        names = sorted({PROCESS[each] for each in services} or self.processes.children)
        texts = {name: self.processes.log(name).read_text(errors="replace").splitlines() for name in names}
        return "\n".join(f"{name} | {line}" for name, text in texts.items() for line in text[-lines:])

    # -- its systems ------------------------------------------------------------------------------------

    def s3(self) -> "S3Client":
        """Return a client for the landing bucket's S3."""
        access = AwsAccess(
            endpoint_url=self.stack.s3_url,
            region=CREDENTIALS["AWS_DEFAULT_REGION"],
            access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        return s3_client(self.bucket, access)

    def prefect(self, method: str, path: str, body: object = None) -> Any:
        """Call Prefect's API, and return the answer parsed from JSON."""
        url = f"{self.stack.prefect_url}/api/{path}"
        answer = unless_busy(lambda: httpx.request(method, url, json=body, timeout=30, trust_env=False))
        return answer.json() if answer.content else None

    @property
    def airbyte_url(self) -> str:
        """Base URL of the mock Airbyte's public API."""
        return self.stack.airbyte_url

    def airbyte(self, path: str, **parameters: Any) -> Any:
        """Send a GET request to the mock Airbyte's public API, and return its answer."""
        url = f"{self.airbyte_url}/{path}"
        return httpx.get(url, params=parameters, timeout=30, trust_env=False).raise_for_status().json()

    # -- its data ---------------------------------------------------------------------------------------

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Query the published tables."""
        with duckdb.connect(str(self.stack.published), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def built(self, query: str) -> list[tuple[Any, ...]]:
        """Query the tables that dbt has built. Dates and times are returned as text."""
        with duckdb.connect(str(self.stack.state / "warehouse.duckdb"), read_only=True) as connection:
            return _plain(connection.execute(query).fetchall())

    def raw(self, query: str) -> list[tuple[Any, ...]]:
        """Query with a DuckDB that can read the lake. Dates and times are returned as text."""
        with reading(Path(self.lake)), duckdb.connect() as connection:
            return _plain(connection.execute(query).fetchall())

    def messages(self) -> list[dict[str, Any]]:
        """Return the alerts that the local receiver got, oldest first."""
        return Messages(self.stack.alerts).read()


def descendants(process: int) -> list[int]:
    """Return the ids of a process's descendants."""
    table = subprocess.run(["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True, check=True).stdout  # noqa: S607
    pairs = [(int(parent), int(child)) for parent, child in map(str.split, table.splitlines())]
    found = [process]
    for each in found:
        found += [child for parent, child in pairs if parent == each]
    return found[1:]


def _plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Convert rows to what a container returns: JSON, with text for other types."""
    return [tuple(row) for row in json.loads(json.dumps(rows, default=str))]

"""The platform of `make dev`, for tests and scenarios: with a state of its own and on free ports."""

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
from services.content import BUCKET, PREFIX, PROJECT
from services.embedded import dev
from services.embedded.processes import Processes, free_ports
from services.embedded.stack import CREDENTIALS, Stack, landing_files
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
"""The process that does a Compose service's work here; S3 and Airbyte share one, as Prefect and its database do."""


class EmbeddedPlatform(Running):
    """The platform without Docker, beside whatever else runs on this machine.

    Use it in a `with` block: it starts the services, and ends them. The state stays, for a look at the logs.

    Args:
        state: folder for the state, which is emptied at the start; caches are kept beside it.
        project: the checkout whose content it works on: of its landing files, the first of each stream has landed.
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
        """Start the processes that do not run, and wait until all is ready for work.

        A server that was killed takes the worker with it: as with another `make dev`, a new worker retries its runs.
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
        """End services as a power cut would, and the runs that a worker has started: each leads a group of its own."""
        runs = descendants(self.processes.children["worker"].pid) if "worker" in services else []
        self._signal(signal.SIGKILL, services)
        for run in runs:
            with suppress(ProcessLookupError):
                os.kill(run, signal.SIGKILL)
        for name in {PROCESS[each] for each in services}:
            self.processes.children[name].wait()

    def pause(self, *services: str) -> None:
        """Freeze services: they keep their connections and answer nothing."""
        self._signal(signal.SIGSTOP, services)

    def resume(self, *services: str) -> None:
        """Let paused services go on."""
        self._signal(signal.SIGCONT, services)

    def _signal(self, number: signal.Signals, services: tuple[str, ...]) -> None:
        for name in {PROCESS[each] for each in services}:
            with suppress(ProcessLookupError):
                os.killpg(self.processes.children[name].pid, number)

    def register(self) -> None:
        """Register the deployments of prefect.yaml, as each start of the platform does."""
        dev.deploy(self.processes, self.stack)

    def logs(self, *services: str, lines: int = 50) -> str:
        """The newest lines of the services' logs; of all without a name."""
        names = sorted({PROCESS[each] for each in services} or self.processes.children)
        texts = {name: self.processes.log(name).read_text(errors="replace").splitlines() for name in names}
        return "\n".join(f"{name} | {line}" for name, text in texts.items() for line in text[-lines:])

    # -- its systems ------------------------------------------------------------------------------------

    def s3(self) -> "S3Client":
        """A client of the landing bucket's S3."""
        access = AwsAccess(
            endpoint_url=self.stack.s3_url,
            region=CREDENTIALS["AWS_DEFAULT_REGION"],
            access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        return s3_client(self.bucket, access)

    def prefect(self, method: str, path: str, body: object = None) -> Any:
        """Prefect's answer, from JSON, to a call of its API."""
        url = f"{self.stack.prefect_url}/api/{path}"
        answer = unless_busy(lambda: httpx.request(method, url, json=body, timeout=30, trust_env=False))
        return answer.json() if answer.content else None

    @property
    def airbyte_url(self) -> str:
        """Base URL of the mock Airbyte's public API."""
        return self.stack.airbyte_url

    def airbyte(self, path: str, **parameters: Any) -> Any:
        """The mock Airbyte's answer to a GET of its public API."""
        url = f"{self.airbyte_url}/{path}"
        return httpx.get(url, params=parameters, timeout=30, trust_env=False).raise_for_status().json()

    # -- what it holds ----------------------------------------------------------------------------------

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer of the tables that readers see to a query."""
        with duckdb.connect(str(self.stack.published), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def built(self, query: str) -> list[tuple[Any, ...]]:
        """The answer of the tables that dbt has built to a query, dates and times as text."""
        with duckdb.connect(str(self.stack.state / "warehouse.duckdb"), read_only=True) as connection:
            return _plain(connection.execute(query).fetchall())

    def raw(self, query: str) -> list[tuple[Any, ...]]:
        """The answer of a DuckDB that can read the lake to a query, dates and times as text."""
        with reading(Path(self.lake)), duckdb.connect() as connection:
            return _plain(connection.execute(query).fetchall())

    def messages(self) -> list[dict[str, Any]]:
        """The alerts that the local receiver has taken, oldest first."""
        return Messages(self.stack.alerts).read()


def descendants(process: int) -> list[int]:
    """The processes that a process has started, and those that these have started."""
    table = subprocess.run(["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True, check=True).stdout  # noqa: S607
    pairs = [(int(parent), int(child)) for parent, child in map(str.split, table.splitlines())]
    found = [process]
    for each in found:
        found += [child for parent, child in pairs if parent == each]
    return found[1:]


def _plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows as they come from a container: JSON, with text for what it has no type for."""
    return [tuple(row) for row in json.loads(json.dumps(rows, default=str))]

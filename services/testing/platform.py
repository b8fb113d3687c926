"""The whole platform of docker-compose.yml for tests, with its own project name and on free ports."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import duckdb
import httpx
from testcontainers.compose import DockerCompose

from blocks.landing import AwsAccess, s3_client
from commands.compose.code import update_copy
from commands.compose.command_line import OVERRIDABLE, PYTHON, STATES, services_to_recreate
from commands.compose.prefect import authorization
from commands.compose.profile import load
from commands.compose.project import DockerProjects
from commands.compose.secrets import digests, prepare, secret
from commands.embedded.processes import free_ports
from services.receiver.messages import Messages
from services.testing.running import PlatformFailed, Running, unless_busy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROJECT = Path(__file__).parents[2]
NAME = "platform-test"
NAMED = re.compile(rf"{NAME}-(\d+)-")
PUBLISHED, WAREHOUSE = "/data/published/warehouse.duckdb", "/data/warehouse/warehouse.duckdb"
ASK = (
    "import duckdb, json, sys; file = sys.argv[1]; "
    "found = duckdb.connect(file, read_only=file != ':memory:').execute(sys.argv[2]).fetchall(); "
    "print(json.dumps(found, default=str))"
)
"""A Python program whose arguments are a DuckDB file and a query."""

MOST_ROWS = 1_000_000
"""The most rows that a test reads from a query in Snowflake. They pass through the worker's memory."""


class Platform(DockerCompose, Running):
    """The real docker-compose.yml, which does not disturb others on this machine.

    Use it in a `with` block. It builds the images, starts the services, waits until they are healthy, and at the end
    removes them with their volumes.

    Args:
        project: folder with docker-compose.yml, in a clone of the platform.
        profile: name of the file in `profiles/`.
        owner: id of the process that is responsible for its removal. It becomes part of the project's name; see
            `remove_left_behind`.
    """

    lake = "/data/lake"

    def __init__(
        self,
        project: Path = PROJECT,
        profile: str = "local",
        owner: int | None = None,
    ) -> None:
        self.profile = load(profile, Path(project, "profiles"), Path(project, "docker-compose.yml"))
        prepare(self.profile)
        update_copy(self.profile)
        self.bucket, self.prefix = self.profile.values["S3_BUCKET"], self.profile.values["S3_PREFIX"]
        self._landed: set[str] = set()
        self.name = f"{NAME}-{owner or os.getpid()}-{uuid4().hex[:8]}"
        self.prefect_port, self.airbyte_port, self.s3_port, self.console_port = free_ports(4)
        super().__init__(
            context=project,
            compose_file_name=["docker-compose.yml", *map(str, self.profile.files)],
            env_file=f"profiles/{profile}.env",
            build=True,
        )

    @cached_property
    def compose_command_property(self) -> list[str]:
        """Compose's command line. It uses the profile's values, not those of the tests' environment."""
        hidden = [f"--unset={name}" for name in self.profile.values if name not in OVERRIDABLE]
        variables = {"COMPOSE_PROJECT_NAME": self.name, **self.ports, **digests(self.profile)}
        own = [f"{name}={value}" for name, value in variables.items()]
        return ["env", *hidden, *own, *super().compose_command_property]

    @property
    def ports(self) -> dict[str, str]:
        """The ports on this machine, by the names of their variables."""
        ports = {
            "PREFECT_PORT": self.prefect_port,
            "AIRBYTE_PORT": self.airbyte_port,
            "S3_PORT": self.s3_port,
            "CONSOLE_PORT": self.console_port,
        }
        return {name: str(port) for name, port in ports.items()}

    @property
    def prefect_url(self) -> str:
        """Address of Prefect's UI. The API is below /api."""
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def airbyte_url(self) -> str:
        """Base URL of the mock Airbyte's public API."""
        return f"http://127.0.0.1:{self.airbyte_port}/api/public/v1"

    @property
    def s3_url(self) -> str:
        """Address of S3."""
        return f"http://127.0.0.1:{self.s3_port}"

    def __exit__(self, *_: object) -> None:
        try:
            self.remove()
        finally:
            self._remove_landed()
            _remove_images(lambda project: project == self.name)

    def remove(self) -> None:
        """Remove the containers and all volumes. A backup creates volumes that the profile does not name."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")
        DockerProjects().remove_volumes(self.name)

    # -- the services ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the services that are down, and wait until all are healthy.

        Raises:
            PlatformFailed: a service does not become healthy. The message has the newest lines of all logs.
        """
        try:
            if services := services_to_recreate(self.compose(*STATES)):
                self.compose("rm", "--stop", "--force", *services)
            super().start()
        except subprocess.CalledProcessError as error:
            raise PlatformFailed(f"{error.stderr.decode()[-2000:]}\n{self.logs(lines=20)}") from error

    def compose(self, *arguments: str) -> str:
        """Run a docker compose command on this platform, and return its output.

        Raises:
            PlatformFailed: it failed. The message has its standard error.
        """
        return self._run(*self.compose_command_property, *arguments)

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.context, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            called = " ".join(command[command.index("docker") :])
            raise PlatformFailed(f"{called}: {done.stderr[-4000:]}")
        return done.stdout

    def _in(self, service: str, *command: str) -> str:
        """Run a command in a service's container, and return its output. `docker exec` saves 0.1 s over Compose."""
        return self._run("docker", "exec", self._container(service), *command)

    def _container(self, service: str) -> str:
        return f"{self.name}-{service}-1"

    def kill(self, *services: str) -> None:
        """Kill services, as a power cut would."""
        self.compose("kill", *services)

    def pause(self, *services: str) -> None:
        """Freeze services: they keep their connections and do not answer."""
        self.compose("pause", *services)

    def resume(self, *services: str) -> None:
        """Resume paused services."""
        self.compose("unpause", *services)

    def register(self) -> None:
        """Register the deployments of prefect.yaml, as each start of the platform does."""
        self.compose("run", "--rm", "--no-deps", "bootstrap")

    def logs(self, *services: str, lines: int = 50) -> str:
        """Return the newest lines of the services' logs, or of all logs if no service is named."""
        return self.compose("logs", "--no-color", "--tail", str(lines), *services)

    # -- input -----------------------------------------------------------------------------------------

    def s3(self) -> "S3Client":
        """Return a client for the profile's S3, with its access key, or else with AWS's default credentials."""
        values = self.profile.values
        access = AwsAccess(
            endpoint_url=self.s3_url if "localstack" in self.profile.services else values["S3_ENDPOINT_URL"],
            region=values["AWS_DEFAULT_REGION"],
            access_key_id=values["AWS_ACCESS_KEY_ID"],
            secret_access_key=secret(self.profile, "AWS_SECRET_ACCESS_KEY") or values["AWS_SECRET_ACCESS_KEY"],
        )
        return s3_client(values["S3_BUCKET"], access)

    def land(self, key: str, content: bytes) -> None:
        """Put an object into the landing bucket. It is removed at the end of the `with` block."""
        self._landed.add(key)
        self.s3().put_object(Bucket=self.bucket, Key=key, Body=content)

    def _remove_landed(self) -> None:
        if "localstack" not in self.profile.services:  # LocalStack was removed with its objects
            for key in self._landed:
                self.s3().delete_object(Bucket=self.bucket, Key=key)

    # -- output ----------------------------------------------------------------------------------------

    @contextmanager
    def published(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection to a copy of the published warehouse as it is now.

        Raises:
            PlatformFailed: nothing was published yet.
        """
        with tempfile.TemporaryDirectory(prefix="platform-") as folder:
            copy = Path(folder, "published.duckdb")
            self._run("docker", "cp", f"{self._container('worker')}:{PUBLISHED}", str(copy))
            with duckdb.connect(str(copy), read_only=True) as connection:
                yield connection

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Query the published tables. From Snowflake, dates and times are returned as text."""
        if self.profile.values["DBT_TARGET"] == "snowflake":
            module = ("blocks.snowflake_sql", "--profile", self.profile.name, "--json", f"--rows={MOST_ROWS}")
            return [tuple(row) for row in json.loads(self.compose("exec", "-T", "worker", *PYTHON, *module, query))]
        with self.published() as connection:
            return connection.execute(query).fetchall()

    def built(self, query: str) -> list[tuple[Any, ...]]:
        """Query the tables that dbt has built in DuckDB. Dates and times are returned as text."""
        return self._query(WAREHOUSE, query)

    def raw(self, query: str) -> list[tuple[Any, ...]]:
        """Query with a DuckDB that can read the lake. Dates and times are returned as text."""
        return self._query(":memory:", query)

    def _query(self, database: str, query: str) -> list[tuple[Any, ...]]:
        printed = self._in("worker", "python", "-c", ASK, database, query)
        return [tuple(row) for row in json.loads(printed)]

    def messages(self) -> list[dict[str, Any]]:
        """Return the alerts that the local receiver got, oldest first."""
        # This is called twice a second, and `make alerts` would take a second of CPU time.
        file = f"/data/alerts/{Messages.FILE}"
        found = self._in("alerts", "sh", "-c", f"test ! -e {file} || cat {file}")
        return [json.loads(line) for line in found.splitlines()]

    def prefect(self, method: str, path: str, body: object = None) -> Any:
        """Call Prefect's API, and return the answer from JSON, e.g. `prefect("POST", "flow_runs/filter", {})`."""
        url = f"{self.prefect_url}/api/{path}"
        if "prefect" not in self.profile.services:
            url = f"{self.profile.values['PREFECT_API_URL']}/{path}"
        headers = authorization(self.profile)
        response = unless_busy(
            lambda: httpx.request(method, url, json=body, headers=headers, timeout=30, trust_env=False)
        )
        return response.json() if response.content else None

    def airbyte(self, path: str, **parameters: Any) -> Any:
        """Send a GET request to the mock Airbyte's public API, with a token if it needs one. Return the answer."""
        headers = {}
        if client_id := self.profile.values.get("AIRBYTE_CLIENT_ID"):
            credentials = {"client_id": client_id, "client_secret": secret(self.profile, "AIRBYTE_CLIENT_SECRET")}
            answer = httpx.post(f"{self.airbyte_url}/applications/token", json=credentials, trust_env=False)
            headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        url = f"{self.airbyte_url}/{path}"
        return httpx.get(url, params=parameters, headers=headers, trust_env=False).raise_for_status().json()

    def __enter__(self) -> Self:
        super().__enter__()
        self.build = False
        return self


def remove_left_behind(owner: int) -> list[str]:
    """Remove platforms and images that this process, or one that has ended, left behind. Return the platforms' names.

    A test process that is killed removes nothing itself.
    """
    if not shutil.which("docker"):
        return []
    names = [each["Name"] for each in json.loads(_docker("compose", "ls", "--all", "--format", "json") or "[]")]
    left = [name for name in names if (match := NAMED.match(name)) and _gone(int(match[1]), owner)]
    for name in left:
        _docker("compose", "--project-name", name, "down", "--volumes", "--timeout", "5")
        DockerProjects().remove_volumes(name)
    _remove_images(lambda project: bool((match := NAMED.match(project)) and _gone(int(match[1]), owner)))
    return left


def _remove_images(is_own: Callable[[str], bool]) -> None:
    """Remove the images whose project matches. Each platform builds its own images, labelled with its name."""
    label = "com.docker.compose.project"
    built = set(_docker("images", "--quiet", "--filter", f"label={label}").split())
    if not built:
        return
    template = f'{{{{.Id}}}} {{{{index .Config.Labels "{label}"}}}}'
    of = dict(line.split() for line in _docker("inspect", "--format", template, *sorted(built)).splitlines())
    if matching := [image for image, project in of.items() if is_own(project)]:
        _docker("rmi", "--force", *matching)


def _docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603


def _gone(process: int, owner: int) -> bool:
    if process == owner:
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False

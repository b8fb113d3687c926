"""Docker Compose's command line, with a profile's values and no other."""

import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Self

from blocks.names import owner
from services.compose import shell
from services.compose.forms import FORMS
from services.compose.profile import COMPOSE_FILE, PROJECT, ComposeError, Profile
from services.compose.secrets import digests

PORTS = {"PREFECT_PORT": "Prefect", "AIRBYTE_PORT": "Airbyte", "S3_PORT": "S3", "CONSOLE_PORT": "the page"}
CONSOLE_PORT = "8300"
"""Of a profile that was written before there was a page."""
FROM_OUTSIDE = {*PORTS, "COMPOSE_PROJECT_NAME", "PIP_CONFIG_FILE", "BUILD_CA_FILE"}
"""What the environment may say otherwise than the profile; all else, such as a person's own AWS account, it may not."""

KEEP, KEEP_DAYS = "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD", 90
"""For how long Prefect's server keeps runs that have ended: its variable, in seconds, and the default in days."""
BUILT = {"airbyte", "snowflake"}
"""The stand-ins that have an image of their own to be built."""
BUILD_LINES = 30
DEV_SHELL = "In a terminal where you have typed `. data/dev/env`, commands use the platform of `make dev`."
NO_ENGINE = f"`make dev` and `make demo` run the platform without Docker. {DEV_SHELL}"
OLDEST_COMPOSE = (2, 20)
STEERING = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_DEFAULT_PLATFORM",
    "DOCKER_API_VERSION",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "BUILDX_BUILDER",
    "BUILDKIT_HOST",
)
"""Variables of a person's environment by which Docker finds an engine and a builder, or chooses a platform."""

PYTHON = ("with-secrets", "python", "-m")
"""What begins a command in a running container, which does not go through the image's entrypoint."""

STATES = ("ps", "--all", "--format", "{{.Service}},{{.State}},{{.Health}}")
"""Compose's question for what `stuck` reads."""


def stuck(states: str) -> list[str]:
    """The services that a start must begin anew; `states` is the answer to STATES.

    `up --wait` ends at the first container that is unhealthy, even if it would be healthy a second later, and Docker
    lets a container that keeps crashing wait for up to a minute. LocalStack runs its init scripts at its start only.
    """
    rows = (line.split(",") for line in states.splitlines())
    return [service for service, state, health in rows if state == "restarting" or health == "unhealthy"]


@dataclass(frozen=True)
class Compose:
    """The platform's Compose project.

    Args:
        profile: gives the values.
        files: further Compose files, merged over docker-compose.yml and what the profile adds.
        project: name of the Compose project, which `project_name` finds.
        images: project whose images it runs, where that is another.
        all_services: whether optional services count that the profile does not name.
    """

    profile: Profile
    files: Sequence[str] = ()
    project: str | None = None
    images: str = ""
    all_services: bool = False

    def beside(self, name: str, *files: Path) -> Self:
        """Return a project of its own beside this one: with its images, without its volumes, merged with `files`."""
        return replace(self, files=list(map(str, files)), project=f"{self.project}-{name}", images=self.project or "")

    def command(self, *arguments: str, progress: str = "") -> list[str]:
        """The full command line for Compose's `arguments`; `progress` is how it tells what it is doing."""
        own = [name for name in shell.variables() if name.startswith("COMPOSE_")]
        hidden = [f"--unset={name}" for name in {*FORMS, *self.profile.values, *own} - FROM_OUTSIDE]
        files = [f"--file={file}" for file in (COMPOSE_FILE, *self.profile.files, *self.files)]
        project = [f"--project-name={self.project}"] if self.project else []
        progress = progress or ("auto" if sys.stderr.isatty() else "quiet")
        options = [
            f"--progress={progress}",
            f"--env-file={self.profile.file}",
            f"--project-directory={PROJECT}",
            *files,
            *project,
            *(["--profile=*"] if self.all_services else []),
        ]
        given = digests(self.profile) | self._on_prefect() | ({"IMAGES_OF": self.images} if self.images else {})
        return [
            "env",
            *hidden,
            *(f"{name}={value}" for name, value in given.items()),
            "docker",
            "compose",
            *options,
            *arguments,
        ]

    def _on_prefect(self) -> dict[str, str]:
        """What a profile need not say."""
        values = self.profile.values
        return {
            "PREFECT_NAMESPACE": self.profile.names.namespace,
            "PREFECT_OWNER": values.get("PREFECT_OWNER") or owner(self.profile.clone),
            "WORKER_LIMIT": values.get("WORKER_LIMIT", ""),
            KEEP: str(int(values.get("PREFECT_KEEP_DAYS") or KEEP_DAYS) * 86400),
            **({} if {"CONSOLE_PORT"} & {*values, *shell.variables()} else {"CONSOLE_PORT": CONSOLE_PORT}),
        }

    def everything(self) -> Self:
        """Return the same project with every optional service, also those that the profile no longer names."""
        return replace(self, all_services=True)

    def run(self, *arguments: str, stdin: IO[bytes] | None = None) -> int:
        """Run Compose on this terminal; its exit code."""
        return subprocess.run(self.command(*arguments), stdin=stdin, check=False).returncode

    def build(self) -> None:
        """Build the images, but for one that the profile names; a terminal shows the newest line of what Docker says.

        Raises:
            ComposeError: an image cannot be built; the text ends what Docker said.
        """
        names = BUILT & self.profile.services if self.profile.image else set()
        if self.profile.image and not names:
            return
        check_builder()
        command = self.command("build", *sorted(names), progress="plain")
        last: deque[str] = deque(maxlen=BUILD_LINES)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as building:
            for line in building.stdout or ():
                last.append(line)
                if sys.stdout.isatty():
                    print(f"\r\033[K{line.strip()[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)
        if building.returncode:
            raise ComposeError(
                f"{''.join(last)}The images cannot be built; see above.{steered()} docs/platform.md says what helps."
            )

    def succeeds(self, *arguments: str) -> bool:
        """Whether Compose, run without a word, ends with 0."""
        return not _fails(*self.command(*arguments))

    def output(self, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """What Compose prints.

        Raises:
            ComposeError: it fails; the text is its own.
        """
        done = subprocess.run(self.command(*arguments), stdin=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ComposeError(done.stderr.strip() or f"`docker compose {arguments[0]}` failed.")
        return done.stdout.strip()

    def address(self, service: str, port: int) -> str | None:
        """Where a running service's port is on this machine, e.g. 127.0.0.1:4200."""
        done = subprocess.run(self.command("port", service, str(port)), capture_output=True, text=True, check=False)
        return done.stdout.strip() or None

    def running(self, service: str, port: int) -> str:
        """Where a service's port is on this machine.

        Raises:
            ComposeError: the service is not running.
        """
        self.need(service)
        if found := self.address(service, port):
            return found
        raise ComposeError(f"{service} has no port here: `{self.profile.make('ps')}` shows its state.")

    def need(self, *services: str) -> None:
        """Make sure that services are running.

        Raises:
            ComposeError: it names those that are not, and the verb that starts them.
        """
        if missing := self.missing(*services):
            held = "sensor" in missing and not self.profile.runs_by_itself
            how = f"Set AUTOMATIC_RUNS=true in {self.profile.file.name}, then: " if held else ""
            raise ComposeError(f"Not running: {', '.join(missing)}. {how}{self.how_to_start}")

    def missing(self, *services: str) -> list[str]:
        """Those of the services that are not running."""
        there = self.output("ps", "--services", "--status=running").split()
        return [service for service in services if service not in there]

    def stop_what_is_no_longer_named(self) -> None:
        """Remove containers of optional services that the profile no longer names: to Compose they are not orphans.

        Raises:
            ComposeError: Compose fails.
        """
        wanted = self.output("config", "--services").split()
        there = self.everything().output("ps", "--all", "--services").split()
        if left := sorted({*there} - {*wanted}):
            self.everything().output("rm", "--stop", "--force", *left)

    @property
    def how_to_start(self) -> str:
        """What a person does where something is not running."""
        make = self.profile.make
        dev = f" {DEV_SHELL}" if (PROJECT / "data" / "dev" / "env").exists() else ""
        return f"`{make('up')}` starts the platform, `{make('ps')}` shows its state.{dev}"


def check_engine() -> None:
    """Make sure that a Docker engine with a recent Compose answers.

    Raises:
        ComposeError: what is missing, with the variables of the environment that lead to the engine.
    """
    if not shutil.which("docker"):
        raise ComposeError(f"Docker is not installed. {NO_ENGINE}")
    version = _run("docker", "compose", "version", "--short")
    if version.returncode:
        raise ComposeError(f"Docker has no Compose v2 (`docker compose`).{steered()} {NO_ENGINE}")
    if (found := _version(version.stdout)) and found < OLDEST_COMPOSE:
        oldest = ".".join(map(str, OLDEST_COMPOSE))
        raise ComposeError(f"Docker Compose is {version.stdout.strip()}: {oldest} or newer is needed. {NO_ENGINE}")
    info = _run("docker", "info", "--format", "{{.ServerVersion}} {{.Name}}")
    # Without an engine, some versions of the client say so in an empty answer alone.
    if info.returncode or not info.stdout.strip():
        why = (info.stderr.strip().splitlines() or ["no answer"])[-1].removeprefix("ERROR: ")
        raise ComposeError(
            f"No Docker engine answers ({why}).{steered()} Start Docker, or ask to be let in. {NO_ENGINE}"
        )


def check_builder() -> None:
    """Make sure that images can be built by BuildKit, whose mounts the Dockerfile needs.

    Raises:
        ComposeError: the environment turns BuildKit off.
    """
    value = shell.variables().get("DOCKER_BUILDKIT", "")
    if value.lower() in ("0", "false", "f", "no", "off"):
        raise ComposeError(
            f"DOCKER_BUILDKIT is {value!r}, which turns BuildKit off, and the images need it. "
            "Run `unset DOCKER_BUILDKIT`, then run this again."
        )


def from_outside(profile: Profile, name: str) -> str:
    """A value that the environment may give in the place of the profile."""
    return shell.variables().get(name) or profile.values[name]


def steered() -> str:
    """Return a sentence with the variables of the environment that say which engine is used and how, or ""."""
    found = [f"{name} is {shell.variables()[name]!r}" for name in STEERING if shell.variables().get(name)]
    return f" {', '.join(found)}: check it, or unset it." if found else ""


def _version(text: str) -> tuple[int, ...]:
    """The first two numbers of a version; none of one that has no number, such as a build from source."""
    match = re.match(r"v?(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2])) if match else ()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _fails(*command: str) -> bool:
    return _run(*command).returncode != 0

"""Run Docker Compose with the values of a profile, hiding others from the environment."""

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
from commands.compose import shell
from commands.compose.forms import FORMS
from commands.compose.profile import COMPOSE_FILE, PROJECT, Profile
from commands.compose.secrets import digests
from commands.compose.values import PORTS
from commands.errors import CommandError
from services import ports

OVERRIDABLE = {*PORTS, "COMPOSE_PROJECT_NAME", "PIP_CONFIG_FILE", "BUILD_CA_FILE"}
"""Variables of the environment that override the profile. All others, such as your AWS credentials, are hidden."""

RETENTION, KEEP_DAYS = "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD", 90
"""How long Prefect's server keeps ended runs: the server's variable (in seconds), and the default in days."""
BUILT_STAND_INS = {"airbyte", "snowflake"}
"""The stand-ins that have their own image to build."""
BUILD_LINES = 30
DEV_SHELL = "In a terminal where you ran `. data/dev/env`, commands use the platform of `make dev`."
NO_ENGINE = f"`make dev` and `make demo` run the platform without Docker. {DEV_SHELL}"
OLDEST_COMPOSE = (2, 20)
DOCKER_VARIABLES = (
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
"""Environment variables with which Docker finds its engine and builder, or chooses a CPU platform."""

PYTHON = ("with-secrets", "python", "-m")
"""The start of a command in a running container. `docker exec` bypasses the entrypoint, which loads the secrets."""

STATES = ("ps", "--all", "--format", "{{.Service}},{{.State}},{{.Health}}")
"""The Compose command whose output `services_to_recreate` reads."""


def services_to_recreate(states: str) -> list[str]:
    """Return the services to recreate at a start; `states` is the output of STATES.

    `up --wait` fails at the first unhealthy container, even if it would be healthy a second later. Docker waits up to a
    minute before it restarts a container that keeps crashing. LocalStack runs its init scripts only when it starts.
    """
    rows = (line.split(",") for line in states.splitlines())
    return [service for service, state, health in rows if state == "restarting" or health == "unhealthy"]


@dataclass(frozen=True)
class Compose:
    """The platform's Compose project.

    Args:
        profile: has the values.
        files: more Compose files, merged over docker-compose.yml and the profile's files.
        project: name of the Compose project, from `project_name`.
        images: another project whose images to run; "" for this project's own.
        all_services: whether to include optional services that the profile does not name.
    """

    profile: Profile
    files: Sequence[str] = ()
    project: str | None = None
    images: str = ""
    all_services: bool = False

    def beside(self, name: str, *files: Path) -> Self:
        """Return a separate project with this one's images but not its volumes, merged with `files`."""
        return replace(self, files=list(map(str, files)), project=f"{self.project}-{name}", images=self.project or "")

    def command(self, *arguments: str, progress: str = "") -> list[str]:
        """Return the full command line for Compose's `arguments`; `progress` is Compose's option of that name."""
        own = [name for name in shell.variables() if name.startswith("COMPOSE_")]
        hidden = [f"--unset={name}" for name in {*FORMS, *self.profile.values, *own} - OVERRIDABLE]
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
        given = digests(self.profile) | self._default_values() | ({"IMAGES_OF": self.images} if self.images else {})
        return [
            "env",
            *hidden,
            *(f"{name}={value}" for name, value in given.items()),
            "docker",
            "compose",
            *options,
            *arguments,
        ]

    def _default_values(self) -> dict[str, str]:
        """Return the values of variables that the profile may leave out."""
        values = self.profile.values
        return {
            "PREFECT_NAMESPACE": self.profile.names.namespace,
            "PREFECT_OWNER": values.get("PREFECT_OWNER") or owner(self.profile.clone),
            "WORKER_LIMIT": values.get("WORKER_LIMIT", ""),
            RETENTION: str(int(values.get("PREFECT_KEEP_DAYS") or KEEP_DAYS) * 86400),
            # Profiles from versions without the page do not have its port.
            **({} if {"CONSOLE_PORT"} & {*values, *shell.variables()} else {"CONSOLE_PORT": str(ports.CONSOLE)}),
        }

    def everything(self) -> Self:
        """Return the same project with every optional service, including those that the profile no longer names."""
        return replace(self, all_services=True)

    def run(self, *arguments: str, stdin: IO[bytes] | None = None) -> int:
        """Run Compose on this terminal and return its exit code."""
        return subprocess.run(self.command(*arguments), stdin=stdin, check=False).returncode

    def build(self) -> None:
        """Build the images, except one that the profile names. On a terminal, show Docker's newest line.

        Raises:
            CommandError: an image cannot be built; the text has Docker's last lines.
        """
        names = BUILT_STAND_INS & self.profile.services if self.profile.image else set()
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
            raise CommandError(
                f"{''.join(last)}The images cannot be built; see above.{docker_variables_hint()} docs/platform.md has "
                "more help."
            )

    def succeeds(self, *arguments: str) -> bool:
        """Run Compose without output, and return whether it succeeded."""
        return not _fails(*self.command(*arguments))

    def output(self, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """Run Compose and return what it prints.

        Raises:
            CommandError: it fails; the text is Compose's error.
        """
        done = subprocess.run(self.command(*arguments), stdin=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandError(done.stderr.strip() or f"`docker compose {arguments[0]}` failed.")
        return done.stdout.strip()

    def address(self, service: str) -> str | None:
        """Return the address of a service's port on this machine, e.g. 127.0.0.1:4200; None if it has none."""
        command = self.command("port", service, str(ports.BY_SERVICE[service]))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() or None

    def running(self, service: str) -> str:
        """Return the address of a running service's port on this machine.

        Raises:
            CommandError: the service is not running, or has no port here.
        """
        self.need(service)
        if found := self.address(service):
            return found
        raise CommandError(f"{service} has no port on this machine. `{self.profile.make('ps')}` shows its state.")

    def need(self, *services: str) -> None:
        """Check that services are running.

        Raises:
            CommandError: some are not; it names them and the verb that starts them.
        """
        if missing := self.missing(*services):
            held = "sensor" in missing and not self.profile.runs_by_itself
            how = f"Set AUTOMATIC_RUNS=true in {self.profile.file.name}. " if held else ""
            raise CommandError(f"Not running: {', '.join(missing)}. {how}{self.how_to_start}")

    def missing(self, *services: str) -> list[str]:
        """Return those of the services that are not running."""
        there = self.output("ps", "--services", "--status=running").split()
        return [service for service in services if service not in there]

    def stop_what_is_no_longer_named(self) -> None:
        """Remove containers of optional services that the profile no longer names. Compose does not call them orphans.

        Raises:
            CommandError: Compose fails.
        """
        wanted = self.output("config", "--services").split()
        there = self.everything().output("ps", "--all", "--services").split()
        if left := sorted({*there} - {*wanted}):
            self.everything().output("rm", "--stop", "--force", *left)

    @property
    def how_to_start(self) -> str:
        """A sentence that says what to do if something is not running."""
        make = self.profile.make
        dev = f" {DEV_SHELL}" if (PROJECT / "data" / "dev" / "env").exists() else ""
        return f"`{make('up')}` starts the platform, `{make('ps')}` shows its state.{dev}"


def check_engine() -> None:
    """Check that a Docker engine with a recent Compose answers.

    Raises:
        CommandError: it says what is missing, and names the environment variables that choose the engine.
    """
    if not shutil.which("docker"):
        raise CommandError(f"Docker is not installed. {NO_ENGINE}")
    version = _run("docker", "compose", "version", "--short")
    if version.returncode:
        raise CommandError(f"Docker has no Compose v2 (`docker compose`).{docker_variables_hint()} {NO_ENGINE}")
    if (found := _version(version.stdout)) and found < OLDEST_COMPOSE:
        oldest = ".".join(map(str, OLDEST_COMPOSE))
        raise CommandError(
            f"Docker Compose {version.stdout.strip()} is too old. Install {oldest} or newer. {NO_ENGINE}"
        )
    info = _run("docker", "info", "--format", "{{.ServerVersion}} {{.Name}}")
    # Without an engine, some versions of the client succeed with an empty answer.
    if info.returncode or not info.stdout.strip():
        why = (info.stderr.strip().splitlines() or ["no answer"])[-1].removeprefix("ERROR: ")
        raise CommandError(
            f"No Docker engine answers ({why}).{docker_variables_hint()} Start Docker, or ask for access to it. "
            f"{NO_ENGINE}"
        )


def check_builder() -> None:
    """Check that BuildKit is on, because the Dockerfile needs its mounts.

    Raises:
        CommandError: the environment turns BuildKit off.
    """
    value = shell.variables().get("DOCKER_BUILDKIT", "")
    if value.lower() in ("0", "false", "f", "no", "off"):
        raise CommandError(
            f"DOCKER_BUILDKIT is {value!r}, which turns BuildKit off, but the images need BuildKit. "
            "Run `unset DOCKER_BUILDKIT`, then run this again."
        )


def value_or_override(profile: Profile, name: str) -> str:
    """Return a variable's value from the environment, or else from the profile."""
    return shell.variables().get(name) or profile.values[name]


def docker_variables_hint() -> str:
    """Return a sentence that names the environment variables which choose Docker's engine, or ""."""
    found = [f"{name} is {shell.variables()[name]!r}" for name in DOCKER_VARIABLES if shell.variables().get(name)]
    return f" {', '.join(found)}: check it, or unset it." if found else ""


def _version(text: str) -> tuple[int, ...]:
    """Return the first two numbers of a version; () if it has none, such as a build from source."""
    match = re.match(r"v?(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2])) if match else ()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _fails(*command: str) -> bool:
    return _run(*command).returncode != 0

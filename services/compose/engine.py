"""Docker Compose's command line, with a profile's values and no other."""

import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Self

from services.compose.profile import COMPOSE_FILE, PROJECT, ComposeError, Profile
from services.compose.secrets import digests

PORTS = {"PREFECT_PORT": "Prefect", "AIRBYTE_PORT": "Airbyte", "S3_PORT": "S3"}
FROM_OUTSIDE = {*PORTS, "COMPOSE_PROJECT_NAME", "PIP_CONFIG_FILE", "BUILD_CA_FILE"}
"""What the environment may say otherwise than the profile; all else, such as a person's own AWS account, it may not."""

BUILD_LINES = 30
NO_ENGINE = "`make dev` and `make demo` run the platform without Docker."
PYTHON = ("with-secrets", "python", "-m")
"""What begins a command in a running container, which does not go through the image's entrypoint."""


@dataclass(frozen=True)
class Compose:
    """The platform's Compose project.

    Args:
        profile: gives the values.
        files: further Compose files, merged over docker-compose.yml and what the profile adds.
        project: name of the Compose project, which `project_name` finds.
        images: project whose images it runs, where that is another.
    """

    profile: Profile
    files: Sequence[str] = ()
    project: str | None = None
    images: str = ""

    def beside(self, name: str, *files: Path) -> Self:
        """Return a project of its own beside this one: with its images, without its volumes, merged with `files`."""
        return replace(self, files=list(map(str, files)), project=f"{self.project}-{name}", images=self.project or "")

    def command(self, *arguments: str, progress: str = "") -> list[str]:
        """The full command line for Compose's `arguments`; `progress` is how it tells what it is doing."""
        hidden = [f"--unset={name}" for name in self.profile.values if name not in FROM_OUTSIDE]
        files = [f"--file={file}" for file in (COMPOSE_FILE, *self.profile.files, *self.files)]
        project = [f"--project-name={self.project}"] if self.project else []
        progress = progress or ("auto" if sys.stderr.isatty() else "quiet")
        options = [
            f"--progress={progress}",
            f"--env-file={self.profile.file}",
            f"--project-directory={PROJECT}",
            *files,
            *project,
        ]
        given = digests(self.profile) | ({"IMAGES_OF": self.images} if self.images else {})
        return [
            "env",
            *hidden,
            *(f"{name}={value}" for name, value in given.items()),
            "docker",
            "compose",
            *options,
            *arguments,
        ]

    def run(self, *arguments: str, stdin: IO[bytes] | None = None) -> int:
        """Run Compose on this terminal; its exit code."""
        return subprocess.run(self.command(*arguments), stdin=stdin, check=False).returncode

    def build(self) -> None:
        """Build the images; a terminal shows the newest line of what Docker says.

        Raises:
            ComposeError: an image cannot be built; the text ends what Docker said.
        """
        command = self.command("build", progress="plain")
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
                f"{''.join(last)}The images cannot be built; see above. docs/platform.md says what helps."
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
        raise ComposeError(f"{service} has no port here: `make ps` shows its state.")

    def need(self, *services: str) -> None:
        """Make sure that services are running.

        Raises:
            ComposeError: it names those that are not, and the verb that starts them.
        """
        if missing := self.missing(*services):
            raise ComposeError(f"Not running: {', '.join(missing)}. {self.how_to_start}")

    def missing(self, *services: str) -> list[str]:
        """Those of the services that are not running."""
        there = self.output("ps", "--services", "--status=running").split()
        return [service for service in services if service not in there]

    @property
    def how_to_start(self) -> str:
        """What a person does where something is not running."""
        return f"`make up PROFILE={self.profile.name}` starts the platform, `make ps` shows its state."


def check_engine() -> None:
    """Make sure that a Docker engine with Compose answers.

    Raises:
        ComposeError: what is missing.
    """
    if not shutil.which("docker"):
        raise ComposeError(f"Docker is not installed. {NO_ENGINE}")
    if _fails("docker", "compose", "version"):
        raise ComposeError(f"Docker has no Compose v2 (`docker compose`). {NO_ENGINE}")
    if _fails("docker", "info"):
        raise ComposeError(f"No Docker engine answers: start Docker, or ask to be let in. {NO_ENGINE}")


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0

"""A copy of this project in which `make VERB` is called, as a person would in a clone."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from services.testing.platform import PROJECT

INHERITED = ("PATH", "HOME", "PIP_CONFIG_FILE", "BUILD_CA_FILE")
FREE_PORTS = dict.fromkeys(("PREFECT_PORT", "AIRBYTE_PORT", "S3_PORT", "CONSOLE_PORT"), "0")


class Clone:
    """A folder of the project's files, a Compose project and the platform's ports on this machine."""

    def __init__(self, folder: Path, name: str, ports: Mapping[str, str] = FREE_PORTS) -> None:
        self.folder, self.name, self.ports = folder, name, ports

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run make; standard error goes to standard output."""
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env={**kept, **self.ports, "COMPOSE_PROJECT_NAME": self.name, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=1500,
        )

    def files(self) -> dict[Path, bytes]:
        """What is in the clone, but for what git ignores."""
        ignored = {"__pycache__", "secrets", "data"}
        there = [each for each in self.folder.rglob("*") if each.is_file() and not ignored & set(each.parts)]
        return {each: each.read_bytes() for each in there}

    def containers(self) -> list[str]:
        """The ids of the project's containers."""
        label = f"label=com.docker.compose.project={self.name}"
        listed = subprocess.run(["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=True)
        return listed.stdout.split()


def copy_project(folder: Path) -> None:
    """Copy the project's files as they are now, committed or not, into an empty folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)

"""`Platform` for Docker Compose."""

import sys
from typing import IO

from commands.compose.command_line import PYTHON, Compose
from commands.compose.doctor import doctor
from commands.compose.prefect import prefect_of
from commands.compose.project import DockerProjects, forget
from commands.platform import LOG_LINES
from commands.prefect_api import Prefect


class DockerPlatform:
    """See `commands.platform.Platform`. `make up` starts it.

    Args:
        compose: the platform's Compose project.
    """

    def __init__(self, compose: Compose) -> None:
        self.compose, self.profile = compose, compose.profile

    @property
    def blocks(self) -> str:
        """See `Platform`."""
        return self.profile.blocks

    @property
    def landing(self) -> tuple[str, str]:
        """See `Platform`."""
        return self.profile.values["S3_BUCKET"], self.profile.values["S3_PREFIX"]

    @property
    def prefect(self) -> Prefect:
        """See `Platform`."""
        return prefect_of(self.compose)

    def make(self, verb: str) -> str:
        """See `Platform`."""
        return self.profile.make(verb)

    def need(self, *services: str) -> None:
        """See `Platform`."""
        self.compose.need(*services)

    @property
    def sql(self) -> list[str]:
        """See `Platform`."""
        if self.profile.values["DBT_TARGET"] == "snowflake":
            return ["blocks.snowflake_sql", "--profile", self.profile.blocks, "--"]
        return ["blocks.sql"]

    def exec(self, service: str, module: str, /, *arguments: str, prompts: bool = False) -> int:
        """See `Platform`."""
        self.need(service)
        is_interactive = prompts and sys.stdin.isatty() and sys.stdout.isatty()
        return self.compose.run("exec", *([] if is_interactive else ["-T"]), service, *PYTHON, module, *arguments)

    def output(self, service: str, module: str, /, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """See `Platform`."""
        return self.compose.output("exec", "-T", service, *PYTHON, module, *arguments, stdin=stdin)

    def ps(self) -> int:
        """See `Platform`."""
        return self.compose.run("ps", "--all")

    def logs(self, services: list[str]) -> int:
        """See `Platform`."""
        return self.compose.run("logs", "--follow", "--tail", LOG_LINES, *services)

    def stop(self) -> int:
        """See `Platform`."""
        return self.compose.everything().run("down", "--remove-orphans")

    def describe_data(self) -> str:
        """See `Platform`."""
        project = self.compose.project or ""
        volumes = [f"  {name}" for name in DockerProjects().volumes(project)] or ["  (no volumes)"]
        kinds = "raw rows, tables, Prefect's history, Airbyte's jobs"
        return "\n".join([f"This deletes all data of {project}: {kinds}.", *volumes])

    def remove(self) -> int:
        """See `Platform`. What is registered on a shared Prefect server stays there."""
        project = self.compose.project or ""
        if code := self.compose.everything().run("down", "--volumes", "--remove-orphans"):
            return code
        DockerProjects().remove_volumes(project)
        forget(project)
        if self.profile.is_on_shared_server:
            url = self.profile.values["PREFECT_API_URL"]
            print(
                f"The objects that this profile registered on {url} are still there. docs/production.md says how to "
                "remove them."
            )
        return 0

    def doctor(self, as_json: bool) -> int:
        """See `Platform`."""
        return doctor(self.compose, as_json)

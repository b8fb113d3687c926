"""The interface to a running platform, in Docker Compose or under `make dev`."""

from typing import IO, Protocol

from commands.prefect_api import Prefect

LOG_LINES = "200"
"""How many earlier lines of a log `make logs` shows."""


class Platform(Protocol):
    """The operations that verbs use. Services are named as in docker-compose.yml."""

    @property
    def blocks(self) -> str:
        """Name of the saved blocks that the platform connects with; "" means environment variables."""

    @property
    def landing(self) -> tuple[str, str]:
        """The landing bucket and its prefix for new files."""

    @property
    def prefect(self) -> Prefect:
        """A client for Prefect's server.

        Raises:
            CommandError: the platform's own Prefect server is not running.
        """

    @property
    def sql(self) -> list[str]:
        """The module that queries the published tables, and the arguments before the query."""

    def make(self, verb: str) -> str:
        """Return the make command that runs a verb on this platform, e.g. `make up PROFILE=production`."""

    def need(self, *services: str) -> None:
        """Check that services are running.

        Raises:
            CommandError: some are not. It names the command that starts them.
        """

    def exec(self, service: str, module: str, /, *arguments: str, prompts: bool = False) -> int:
        """Run a Python module where a service runs, as the last step of a verb, and return its exit code.

        The call may not return, because the module may replace this process.

        Args:
            service: the service whose environment the module runs in.
            module: the module's dotted name.
            arguments: the module's command line.
            prompts: whether the module may ask something on a terminal.

        Raises:
            CommandError: the module runs in the service, which is not running.
        """

    def output(self, service: str, module: str, /, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """Run a Python module where a service runs, and return what it prints.

        Raises:
            CommandError: the module fails; the text is its error.
        """

    def ps(self) -> int:
        """List the services and their health."""

    def logs(self, services: list[str]) -> int:
        """Follow the logs of services, or of all of them, until Ctrl-C."""

    def stop(self) -> int:
        """Stop the platform and keep its data."""

    def describe_data(self) -> str:
        """Describe what `remove` would delete."""

    def remove(self) -> int:
        """Stop the platform and delete its data."""

    def doctor(self, as_json: bool) -> int:
        """Check everything that the platform connects to. Return 1 if a check fails."""

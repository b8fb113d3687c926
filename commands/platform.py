"""A running platform as the verbs see it: the containers of Docker Compose, or the processes of `make dev`."""

from typing import IO, Protocol

from commands.prefect_api import Prefect


class Platform(Protocol):
    """What verbs need of a platform. Services have the names that docker-compose.yml gives them."""

    @property
    def blocks(self) -> str:
        """The name of the saved blocks with which the platform's programs connect; "" if they use the environment."""

    @property
    def landing(self) -> tuple[str, str]:
        """The landing bucket, and the prefix below which files land."""

    @property
    def prefect(self) -> Prefect:
        """A client for Prefect's server.

        Raises:
            CommandError: the server is one of the platform's own services, and is not running.
        """

    @property
    def sql(self) -> list[str]:
        """The module that queries the published tables, and the arguments before the query."""

    def make(self, verb: str) -> str:
        """Return the make command of a verb for this platform, e.g. `make up PROFILE=production`."""

    def need(self, *services: str) -> None:
        """Check that services are running.

        Raises:
            CommandError: some are not. It names the command that starts them.
        """

    def exec(self, service: str, module: str, *arguments: str, terminal: bool = False) -> int:
        """Run a Python module where a service runs, and return its exit code.

        Args:
            service: gives the module its environment.
            module: the module's dotted name.
            arguments: the module's command line.
            terminal: whether it is the command's last step and may ask a person something.

        Raises:
            CommandError: the module cannot run, because the service does not.
        """

    def output(self, service: str, module: str, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """Run a Python module where a service runs, and return what it prints.

        Raises:
            CommandError: the module fails; the text is its error.
        """

    def ps(self) -> int:
        """List the services and their states."""

    def logs(self, services: list[str]) -> int:
        """Follow the logs of services, or of all of them, until Ctrl-C."""

    def stop(self) -> int:
        """Stop the platform and keep its data."""

    def describe_data(self) -> str:
        """Say what `remove` removes."""

    def remove(self) -> int:
        """Stop the platform and remove its data."""

    def doctor(self, as_json: bool) -> int:
        """Check everything that the platform connects to. Return 1 if a check fails."""

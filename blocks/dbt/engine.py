"""The interface to dbt, which runs in this process (`in_process.py`) or as a child process (`child.py`).

The platform needs nothing else from dbt, so a dbt without Python or callbacks can replace it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from blocks.ledger import Ledger


@dataclass(frozen=True)
class Event:
    """An event in dbt's structured log. `node` is the name of its node, or ""."""

    name: str
    level: str
    text: str
    node: str = ""


EventHandler = Callable[[Event], None]


@dataclass
class Outcome:
    """How a command ended.

    Attributes:
        code: dbt's exit code: 0 for success, 1 if a node failed, 2 if dbt could not run.
        fault: why dbt could not run.
        results: the nodes' results, with the fields of dbt's artifacts.
        manifest: the manifest, with the fields of dbt's artifacts; None if the project was not parsed.
    """

    code: int
    fault: str = ""
    results: list[Any] = field(default_factory=list)
    manifest: Any = None


class Engine(Protocol):
    """A way to run dbt, one command at a time."""

    def warm_up(self) -> None:
        """Do the work that the first command would otherwise wait for."""

    def parse(self, arguments: Sequence[str], on_event: EventHandler) -> Any:
        """Parse the project, and return the manifest for `run`; None if that would not save time."""

    def begin(self, ledger: Ledger, command: str) -> None:
        """Prepare the ledger for a command that may build tables. `command` is the command's id."""

    def run(
        self, arguments: Sequence[str], on_event: EventHandler, *, notes: tuple[str, str], parsed: Any, shown: bool
    ) -> Outcome:
        """Run a command until it ends.

        Args:
            arguments: arguments of dbt's command line.
            on_event: called with each event, in order.
            notes: name of the ledger's table, or "" to record nothing, and the command's id.
            parsed: what `parse` returned, or None.
            shown: whether dbt prints to the terminal, as for a command that a person types.
        """

    def interrupt(self) -> None:
        """Ask the running command to end. This is called from another thread, repeatedly, until the command ends."""

"""The seam through which dbt is run: in this process (`in_process.py`), or as a child process (`child.py`).

What stands here is all that the platform asks of a dbt, so that one without Python or callbacks can take its place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from blocks.ledger import Ledger


@dataclass(frozen=True)
class Event:
    """A line of dbt's structured log. `node` is the name of the node that it is about, empty if there is none."""

    name: str
    level: str
    text: str
    node: str = ""


Hear = Callable[[Event], None]


@dataclass
class Outcome:
    """How a command ended.

    `code` is dbt's exit code: 0 for success, 1 if a node failed, 2 if dbt could not run, and `fault` says why. Results
    and manifest name their values as dbt's artifacts do; the manifest is None if the project was not parsed.
    """

    code: int
    fault: str = ""
    results: list[Any] = field(default_factory=list)
    manifest: Any = None


class Engine(Protocol):
    """A way to run dbt; one command at a time."""

    def warm_up(self) -> None:
        """Do what the first command would otherwise wait for."""

    def parse(self, arguments: Sequence[str], hear: Hear) -> Any:
        """Parse the project for the next command, for `run` to take; None if that would not save it any time."""

    def begin(self, ledger: Ledger, command: str) -> None:
        """Prepare the ledger for a command, by its id, that may build tables."""

    def run(self, arguments: Sequence[str], hear: Hear, *, notes: tuple[str, str], parsed: Any, shown: bool) -> Outcome:
        """Run a command until it ends.

        Args:
            arguments: of dbt's command line.
            hear: called with each event, in the order in which they happen.
            notes: the ledger's table and the command's id; the table is empty if nothing is to be noted.
            parsed: what `parse` returned, or None.
            shown: whether dbt prints what it does, as it would by hand.
        """

    def interrupt(self) -> None:
        """Have the running command end soon. Called from another thread, again and again until it has ended."""

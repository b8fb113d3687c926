"""Records one run of dbt: its events, and how its nodes ended."""

from uuid import uuid4

from blocks.dbt.engine import Event, Outcome
from blocks.dbt.results import Misfit, RowCounts
from blocks.ledger import Ledger, graph_of, settle, to_examine
from blocks.settings import code_version

COUNTED = "rows: "
"""Prefix of the lines in which the macro `count_rows` reports its counts."""
DRIFTED = "drift: "
"""Prefix of the lines in which the test `every_value_is_cast` names a column with values of another type."""
OF_CHANGES = "looks at changes: "
"""Prefix of the lines in which the macro `rows_to_test` names a test that reads only changed rows."""


class Invocation:
    """The events of one run of dbt."""

    def __init__(self) -> None:
        self.id = uuid4().hex
        self.running: set[str] = set()
        self.begun = False
        self.rows: list[RowCounts] = []
        self.misfits: list[Misfit] = []
        self.of_changes: set[str] = set()

    def handle(self, event: Event) -> None:
        """Record which nodes are running, and what the project's macros report."""
        if event.name == "NodeStart":
            self.begun = True
            self.running.add(event.node)
        elif event.name == "NodeFinished":
            self.running.discard(event.node)
        elif event.name == "JinjaLogDebug" and event.text.startswith(COUNTED):
            self.rows.append(RowCounts.model_validate_json(event.text.removeprefix(COUNTED)))
        elif event.name == "JinjaLogDebug" and event.text.startswith(DRIFTED):
            self.misfits.append(Misfit.model_validate_json(event.text.removeprefix(DRIFTED)))
        elif event.name == "JinjaLogDebug" and event.text.startswith(OF_CHANGES):
            self.of_changes.add(event.text.removeprefix(OF_CHANGES))


def record(ledger: Ledger, command: str, outcome: Outcome) -> None:
    """Record in the ledger what a command has built and how each test ended. `command` is the command's id."""
    state, last = ledger.read()
    graph = state.graph if outcome.manifest is None else graph_of(outcome.manifest)
    if graph is None:
        return
    ended = [(each.node.unique_id, str(each.status)) for each in outcome.results if hasattr(each, "node")]
    prints = ledger.prints(graph, to_examine(state, graph, ended))
    code = " ".join(code_version()).strip()
    ledger.write(settle(state, graph, command, ended, prints, code), last)

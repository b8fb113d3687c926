"""What is noted of one run of dbt: what it says while it works, and how its nodes ended."""

from uuid import uuid4

from blocks.dbt.engine import Event, Outcome
from blocks.dbt.results import Misfit, RowCounts
from blocks.ledger import Ledger, graph_of, settle, to_look_at
from blocks.settings import code_version

COUNTED = "rows: "
"""How a line begins with which the macro `count_rows` tells its figures."""
DRIFTED = "drift: "
"""How a line begins with which the test `every_value_is_cast` names a column whose values do not fit."""
OF_CHANGES = "looks at changes: "
"""How a line begins with which the macro `rows_to_test` names a test that need not look at every row."""


class Invocation:
    """One run of dbt: what it says while it works."""

    def __init__(self) -> None:
        self.id = uuid4().hex
        self.running: set[str] = set()
        self.begun = False
        self.rows: list[RowCounts] = []
        self.misfits: list[Misfit] = []
        self.of_changes: set[str] = set()

    def hear(self, event: Event) -> None:
        """Take note of which nodes are at work, and of what the project's macros tell."""
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


def note_in(ledger: Ledger, command: str, outcome: Outcome) -> None:
    """Note what a command, by its id, has built and how each test ended, also if it failed."""
    state, last = ledger.read()
    graph = state.graph if outcome.manifest is None else graph_of(outcome.manifest)
    if graph is None:
        return
    ended = [(each.node.unique_id, str(each.status)) for each in outcome.results if hasattr(each, "node")]
    prints = ledger.prints(graph, to_look_at(state, graph, ended))
    code = " ".join(code_version()).strip()
    ledger.write(settle(state, graph, command, ended, prints, code), last)

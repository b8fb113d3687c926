"""One run of dbt in this process: what it notes, and how it is stopped."""

import threading
import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

from blocks.dbt.results import Misfit, RowCounts
from blocks.ledger import BEGUN, DONE, Ledger, graph_of, note, settle, to_look_at
from blocks.settings import code_version

STOP_SECONDS = 60
"""How long a cancelled command may take to end."""
COUNTED = "rows: "
"""How a line begins with which the macro `count_rows` tells its figures."""
DRIFTED = "drift: "
"""How a line begins with which the test `every_value_is_cast` names a column whose values do not fit."""
OF_CHANGES = "looks at changes: "
"""How a line begins with which the macro `rows_to_test` names a test that need not look at every row."""


class Invocation:
    """One run of dbt: what it says while it works."""

    def __init__(self, relation: str, parsed: Any = None) -> None:
        self.id = uuid4().hex
        self.relation = relation
        self.running: set[str] = set()
        self.begun = False
        self.rows: list[RowCounts] = []
        self.misfits: list[Misfit] = []
        self.of_changes: set[str] = set()
        self.parsed = parsed
        self.manifest: Any = None

    def hear(self, event: Any) -> None:
        """Take note of dbt's manifest as soon as there is one, and of which nodes are at work."""
        if self.manifest is None:
            self._take_manifest()
        if event.info.name == "NodeStart":
            self.begun = True
            self.running.add(event.data.node_info.node_name)
        elif event.info.name == "NodeFinished":
            self.running.discard(event.data.node_info.node_name)
        elif event.info.name == "JinjaLogDebug" and event.info.msg.startswith(COUNTED):
            self.rows.append(RowCounts.model_validate_json(event.info.msg.removeprefix(COUNTED)))
        elif event.info.name == "JinjaLogDebug" and event.info.msg.startswith(DRIFTED):
            self.misfits.append(Misfit.model_validate_json(event.info.msg.removeprefix(DRIFTED)))
        elif event.info.name == "JinjaLogDebug" and event.info.msg.startswith(OF_CHANGES):
            self.of_changes.add(event.info.msg.removeprefix(OF_CHANGES))

    def _take_manifest(self) -> None:
        """Have dbt note each node that it begins to build and each that it has built, in the node's own transaction."""
        import click
        from dbt.artifacts.resources.v1.config import Hook

        context = click.get_current_context(silent=True)
        self.manifest = (context.obj or {}).get("manifest") if context else None
        if self.manifest is None or not self.relation:
            return
        for name, node in self.manifest.nodes.items():
            if str(node.resource_type) in ("model", "seed", "snapshot"):
                node.config.pre_hook.append(Hook(sql=note(self.relation, BEGUN, name, self.id)))
                node.config.post_hook.append(Hook(sql=note(self.relation, DONE, name, self.id)))


def note_in(ledger: Ledger, invocation: Invocation, outcome: Any) -> None:
    """Note what was built and how each test ended, also of a command that failed."""
    state, last = ledger.read()
    graph = graph_of(invocation.manifest)
    results = getattr(outcome.result, "results", None) or []
    ended = [(each.node.unique_id, str(each.status)) for each in results if hasattr(each, "node")]
    prints = ledger.prints(graph, to_look_at(state, graph, ended))
    code = " ".join(code_version()).strip()
    ledger.write(settle(state, graph, invocation.id, ended, prints, code), last)


def cancel(thread: threading.Thread) -> None:
    """Cancel dbt's queries, and those that it starts afterwards, until it ends."""
    from dbt.adapters.factory import FACTORY

    deadline = time.monotonic() + STOP_SECONDS
    while thread.is_alive() and time.monotonic() < deadline:
        for adapter in list(FACTORY.adapters.values()):
            with suppress(Exception), adapter.connection_named("cancel"):
                adapter.cancel_open_connections()
        thread.join(0.5)


def release_warehouse() -> None:
    """Close what dbt-duckdb keeps open after a command: it would lock the file against every other process."""
    from dbt.adapters.factory import FACTORY

    for adapter in list(FACTORY.adapters.values()):
        close = getattr(adapter.connections, "close_all_connections", None)
        if close:
            close()
    FACTORY.reset_adapters()

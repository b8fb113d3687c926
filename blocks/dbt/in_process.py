"""Runs dbt in this process, which imports dbt (about 5 s) only once and can parse a project in advance."""

import importlib
from collections.abc import Sequence
from typing import Any

from blocks.dbt.engine import Event, EventHandler, Outcome
from blocks.ledger import BEGUN, DONE, Ledger, insert_sql

QUIET = ("--log-level", "none", "--log-level-file", "none", "--no-use-colors")


def warm_up() -> None:
    """Import dbt and its DuckDB adapter, so that the first command does not have to."""
    importlib.import_module("dbt.cli.main")
    importlib.import_module("dbt.adapters.duckdb")


class InProcess:
    """dbt's own dbtRunner and its callbacks. Hooks record in the ledger which nodes dbt builds."""

    def warm_up(self) -> None:
        """Import dbt."""
        warm_up()

    def parse(self, arguments: Sequence[str], on_event: EventHandler) -> Any:
        """Return the project's manifest, or None if the project has an error."""
        from dbt.cli.main import dbtRunner

        outcome = dbtRunner(callbacks=[lambda event: on_event(_event(event))]).invoke([*arguments, *QUIET])
        _release_warehouse()
        return outcome.result if outcome.success else None

    def begin(self, ledger: Ledger, _command: str) -> None:
        """Create the ledger's table, into which dbt's hooks write."""
        ledger.read()

    def run(
        self, arguments: Sequence[str], on_event: EventHandler, *, notes: tuple[str, str], parsed: Any, shown: bool
    ) -> Outcome:
        """Run a command in the current thread."""
        from dbt.cli.main import cli, dbtRunner

        cli.name = "dbt"  # the help shows this name
        manifests: list[Any] = []

        def callback(event: Any) -> None:
            if not manifests and (manifest := _manifest()) is not None:
                manifests.append(manifest)
                _add_hooks(manifest, *notes)
            on_event(_event(event))

        try:
            outcome = dbtRunner(parsed, [callback]).invoke([*arguments, *(() if shown else QUIET)])
        finally:
            _release_warehouse()
        code = 2 if outcome.exception else 0 if outcome.success else 1
        fault = str(outcome.exception) if outcome.exception else ""
        results = list(getattr(outcome.result, "results", None) or [])
        return Outcome(code, fault, results, manifests[0] if manifests else None)

    def interrupt(self) -> None:
        """Cancel the running queries."""
        from dbt.adapters.factory import FACTORY

        for adapter in list(FACTORY.adapters.values()):
            with adapter.connection_named("cancel"):
                adapter.cancel_open_connections()


def _event(event: Any) -> Event:
    about = event.data.node_info.node_name if event.info.name in ("NodeStart", "NodeFinished") else ""
    return Event(event.info.name, event.info.level, event.info.msg, about)


def _manifest() -> Any:
    """Return the manifest of the command that runs in this thread; None if it has not parsed the project yet."""
    import click

    context = click.get_current_context(silent=True)
    return (context.obj or {}).get("manifest") if context else None


def _add_hooks(manifest: Any, relation: str, command: str) -> None:
    """Add hooks that record each node that dbt begins to build or has built, in the node's own transaction."""
    from dbt.artifacts.resources.v1.config import Hook

    for name, node in manifest.nodes.items() if relation else ():
        if str(node.resource_type) in ("model", "seed", "snapshot"):
            node.config.pre_hook.append(Hook(sql=insert_sql(relation, BEGUN, name, command)))
            node.config.post_hook.append(Hook(sql=insert_sql(relation, DONE, name, command)))


def _release_warehouse() -> None:
    """Close the connections that dbt-duckdb keeps after a command: they would lock the file for other processes."""
    from dbt.adapters.factory import FACTORY

    for adapter in list(FACTORY.adapters.values()):
        close = getattr(adapter.connections, "close_all_connections", None)
        if close:
            close()
    FACTORY.reset_adapters()

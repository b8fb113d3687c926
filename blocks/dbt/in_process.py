"""dbt in this process: a long-lived one pays dbt's import (some 5 s) once, and can parse a project ahead."""

import importlib
from collections.abc import Sequence
from typing import Any

from blocks.dbt.engine import Event, Hear, Outcome
from blocks.ledger import BEGUN, DONE, Ledger, note

QUIET = ("--log-level", "none", "--log-level-file", "none", "--no-use-colors")


def warm_up() -> None:
    """Import dbt and its adapters now, so that the first command need not wait for it."""
    importlib.import_module("dbt.cli.main")
    importlib.import_module("dbt.adapters.duckdb")


class InProcess:
    """dbt's own dbtRunner and its callbacks. dbt's hooks note in the ledger what they build."""

    def warm_up(self) -> None:
        """Import dbt."""
        warm_up()

    def parse(self, arguments: Sequence[str], hear: Hear) -> Any:
        """Return the project's manifest, or None if the project has a fault."""
        from dbt.cli.main import dbtRunner

        outcome = dbtRunner(callbacks=[lambda event: hear(_event(event))]).invoke([*arguments, *QUIET])
        _release_warehouse()
        return outcome.result if outcome.success else None

    def begin(self, ledger: Ledger, _command: str) -> None:
        """Make the ledger's table, which dbt's hooks write into."""
        ledger.read()

    def run(self, arguments: Sequence[str], hear: Hear, *, notes: tuple[str, str], parsed: Any, shown: bool) -> Outcome:
        """Run a command in the current thread."""
        from dbt.cli.main import cli, dbtRunner

        cli.name = "dbt"  # as its help shows
        manifests: list[Any] = []

        def take(event: Any) -> None:
            if not manifests and (manifest := _manifest()) is not None:
                manifests.append(manifest)
                _have_noted(manifest, *notes)
            hear(_event(event))

        try:
            outcome = dbtRunner(parsed, [take]).invoke([*arguments, *(() if shown else QUIET)])
        finally:
            _release_warehouse()
        code = 2 if outcome.exception else 0 if outcome.success else 1
        fault = str(outcome.exception) if outcome.exception else ""
        results = list(getattr(outcome.result, "results", None) or [])
        return Outcome(code, fault, results, manifests[0] if manifests else None)

    def interrupt(self) -> None:
        """Cancel the queries that run now."""
        from dbt.adapters.factory import FACTORY

        for adapter in list(FACTORY.adapters.values()):
            with adapter.connection_named("cancel"):
                adapter.cancel_open_connections()


def _event(event: Any) -> Event:
    about = event.data.node_info.node_name if event.info.name in ("NodeStart", "NodeFinished") else ""
    return Event(event.info.name, event.info.level, event.info.msg, about)


def _manifest() -> Any:
    """dbt's manifest, as soon as the command at work in this thread has one."""
    import click

    context = click.get_current_context(silent=True)
    return (context.obj or {}).get("manifest") if context else None


def _have_noted(manifest: Any, relation: str, command: str) -> None:
    """Have dbt note each node that it begins to build and each that it has built, in the node's own transaction."""
    from dbt.artifacts.resources.v1.config import Hook

    for name, node in manifest.nodes.items() if relation else ():
        if str(node.resource_type) in ("model", "seed", "snapshot"):
            node.config.pre_hook.append(Hook(sql=note(relation, BEGUN, name, command)))
            node.config.post_hook.append(Hook(sql=note(relation, DONE, name, command)))


def _release_warehouse() -> None:
    """Close what dbt-duckdb keeps open after a command: it would lock the file against every other process."""
    from dbt.adapters.factory import FACTORY

    for adapter in list(FACTORY.adapters.values()):
        close = getattr(adapter.connections, "close_all_connections", None)
        if close:
            close()
    FACTORY.reset_adapters()

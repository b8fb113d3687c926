"""Runs dbt in this process: a long-lived one pays dbt's import (some 5 s) once.

One invocation at a time: dbt keeps global state, and reads its connection from the process's environment.
"""

import importlib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from blocks import lake
from blocks.duckdb_file import broken
from blocks.errors import ConfigurationError, PlatformError, printable
from blocks.ledger import BEGUN, DONE, Ledger, graph_of, note, settle, to_look_at
from blocks.settings import code_version, environment
from blocks.snowflake_ledger import AWAY
from blocks.turns import TurnMissed, turn

FAILED = frozenset({"error", "fail", "runtime error", "partial success"})
RECORDED = frozenset({"build", "run", "test", "seed", "snapshot", "retry", "clone"})
"""Commands that the ledger hears of."""
OFFLINE = frozenset({"", "deps", "parse", "clean", "init", "list", "ls"})
"""Commands that do not use the warehouse."""
STOP_SECONDS = 60
"""How long a cancelled command may take to end."""
_one_at_a_time = threading.Lock()


class DbtFailed(PlatformError):
    """A node failed, or dbt could not run; the text names the nodes and their messages, `result` has them all."""

    result: "DbtResult | None" = None


class StaleSource(PlatformError):
    """A source is older than the threshold; the text names it, its age and the threshold."""


class WarehouseLocked(DbtFailed):
    """Another process has the DuckDB file open; the text names it."""


class WarehouseAway(DbtFailed):
    """Snowflake does not answer: worth another try."""


class NothingSelected(DbtFailed):
    """A selection matches no node; the text names those of nearly the same name."""


class DbtTimedOut(DbtFailed):
    """A command took longer than DBT_TIMEOUT_SECONDS and was stopped; the text names the nodes at work."""


class DbtNode(BaseModel):
    """The result of one node. `seconds` is its execution time; `id` and `parents` are ids of dbt's manifest."""

    name: str
    resource_type: str
    status: str
    seconds: float = 0.0
    failures: int | None = None
    message: str = ""
    id: str = ""
    parents: list[str] = []

    @property
    def failed(self) -> bool:
        """Whether this node makes the command fail."""
        return self.status in FAILED


class RowCounts(BaseModel):
    """Where the rows of a staging model's source are.

    Of `in_raw` rows, `twice_in_a_file` have the key of another row of the same version of a file; in all there are
    `different_keys`.
    """

    stream: str
    staging: str
    in_raw: int
    twice_in_a_file: int
    different_keys: int
    in_staging: int

    @property
    def older(self) -> int:
        """Rows that a newer version of the file, or another file, has replaced."""
        return self.in_raw - self.twice_in_a_file - self.different_keys

    @property
    def filtered(self) -> int:
        """Keys that the model leaves out; negative where it has more rows than keys."""
        return self.different_keys - self.in_staging


class DbtResult(BaseModel):
    """The results of one dbt command, a node each, and the row counts of staging models with new rows."""

    command: str
    nodes: list[DbtNode] = []
    rows: list[RowCounts] = []

    def counts(self) -> dict[str, int]:
        """How many nodes ended in each status, e.g. `{"success": 12, "pass": 60}`."""
        statuses = [node.status for node in self.nodes]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}


class SourceFreshness(BaseModel):
    """How old a source's newest row is; `age_hours` and `loaded_at` are unknown where it has no row.

    `limit_hours` is the age at which the source is stale, as sources.yml has it.
    """

    source: str
    status: str
    loaded_at: datetime | None = None
    age_hours: float | None = None
    limit_hours: float | None = None


def warm_up() -> None:
    """Import dbt and its adapters now, so that the first command need not wait for it."""
    importlib.import_module("dbt.cli.main")
    importlib.import_module("dbt.adapters.duckdb")


class Dbt:
    """A dbt project with one target.

    Args:
        project_dir: folder of `dbt_project.yml` and `profiles.yml`.
        target: target of `profiles.yml`.
        variables: environment variables that the project reads.
        log: called with each line that dbt would print.
        warehouse: file beside whose name the turn on the warehouse is taken; without one, nothing is waited for.
        ledger: where it is noted what was built and which tests passed.
        timeout_seconds: a command that takes longer is stopped.
        wait_seconds: how long to wait for another command that uses the warehouse.
    """

    def __init__(
        self,
        project_dir: Path,
        target: str,
        variables: Mapping[str, str],
        log: Callable[[str], None] = print,
        *,
        warehouse: Path | None = None,
        ledger: Ledger | None = None,
        timeout_seconds: float = 3600,
        wait_seconds: float = 3600,
    ) -> None:
        self.project_dir, self.target, self.variables, self.log = project_dir, target, variables, log
        self.warehouse, self.ledger = warehouse, ledger
        self.timeout_seconds, self.wait_seconds = timeout_seconds, wait_seconds

    def run(self, *command: str) -> DbtResult:
        """Run a dbt command, e.g. `run("build", "--select", "staging")`.

        Raises:
            ConfigurationError: there is no dbt project.
            WarehouseLocked: another process has the warehouse open.
            WarehouseAway: Snowflake does not answer.
            TurnMissed: another command of the platform used the warehouse for too long.
            NothingSelected: the selection matches no node.
            DbtTimedOut: the command took too long.
            DbtFailed: a node failed, or the project cannot be used.
        """
        self._check_project()
        name = " ".join(command)
        outcome, errors, invocation = self._invoke(command, self._flags())
        result = DbtResult(command=name, nodes=_nodes(outcome.result), rows=invocation.rows)
        if not outcome.success:
            failure = self._failure(name, result, outcome.exception, errors)
            failure.result = result
            raise failure
        if reason := _nothing(command, result.nodes, invocation.manifest):
            raise NothingSelected(reason)
        return result

    def freshness(self) -> list[SourceFreshness]:
        """Ask dbt how old each source's newest row is, whatever the answer.

        Raises:
            ConfigurationError, WarehouseLocked, WarehouseAway, TurnMissed, DbtTimedOut, DbtFailed: as `run`.
        """
        self._check_project()
        name = "source freshness"
        outcome, errors, _ = self._invoke(("source", "freshness"), self._flags())
        results = getattr(outcome.result, "results", None) or []
        failure = self._failure(name, DbtResult(command=name), outcome.exception, errors)
        if isinstance(failure, WarehouseLocked | WarehouseAway) or not (results or outcome.success):
            raise failure
        return [_freshness(each) for each in results]

    def by_hand(self, arguments: Sequence[str]) -> int:
        """Run a person's command line as dbt's own would, which prints what happens; return dbt's exit code.

        Raises:
            PlatformError: as `run`, but for nodes that failed, which dbt prints.
        """
        outcome, _, invocation = self._invoke(arguments, ())
        if outcome.exception:
            raise self._failure(" ".join(arguments), DbtResult(command=""), outcome.exception, [])
        if outcome.success and (reason := _nothing(arguments, _nodes(outcome.result), invocation.manifest)):
            raise NothingSelected(reason)
        return 0 if outcome.success else 1

    def _invoke(self, command: Sequence[str], flags: Sequence[str]) -> tuple[Any, list[str], "Invocation"]:
        """Run dbt when it is this command's turn; give its outcome and the errors that it told."""
        errors: list[str] = []
        ledger = self.ledger if _verb(command) in RECORDED else None
        invocation = Invocation(ledger.relation if ledger else "")
        callbacks: list[Callable[[Any], None]] = [invocation.hear]
        if flags:
            callbacks.append(lambda event: self._tell(event, errors))
        with ExitStack() as held:
            self._take_turn(command, held)
            try:
                if ledger:
                    ledger.read()  # dbt's hooks write into it
                outcome = self._within_time([*command, *flags], callbacks, invocation, held)
                if ledger and invocation.manifest is not None:
                    _note(ledger, invocation, outcome)
            except PlatformError:
                raise
            except Exception as error:
                name = " ".join(command)
                raise self._failure(name, DbtResult(command=name), error, errors) from error
        return outcome, errors, invocation

    def _take_turn(self, command: Sequence[str], held: ExitStack) -> None:
        if self.warehouse and _verb(command) not in OFFLINE:
            held.enter_context(turn(self.warehouse, self.wait_seconds, self.log))
        if not _one_at_a_time.acquire(timeout=self.wait_seconds):
            raise TurnMissed(
                f"Another dbt command ran in this process for more than {self.wait_seconds:g} s "
                "(WAREHOUSE_WAIT_SECONDS). If it hangs, end the process, then run again."
            )
        held.callback(_one_at_a_time.release)
        if (folder := self.variables.get("LAKE_DIR")) and _verb(command) not in OFFLINE:
            held.enter_context(lake.reading(Path(folder)))
        held.enter_context(environment(self.variables))

    def _within_time(
        self, arguments: list[str], callbacks: list[Callable[[Any], None]], invocation: "Invocation", held: ExitStack
    ) -> Any:
        """dbt's outcome; a query that hangs is cancelled at the deadline, and so is one that a person interrupts."""
        from dbt.cli.main import cli, dbtRunner

        cli.name = "dbt"  # as its help shows
        outcomes: list[Any] = []

        def work() -> None:
            try:
                outcomes.append(dbtRunner(callbacks=callbacks).invoke(arguments))
            finally:
                _release_warehouse()

        thread = threading.Thread(target=work, name="dbt", daemon=True)
        thread.start()
        late: list[str] = []
        try:
            thread.join(self.timeout_seconds)
            if thread.is_alive():
                late = sorted(invocation.running) or ["dbt itself"]
        finally:
            if thread.is_alive():
                _cancel(thread)
            if thread.is_alive():
                held.pop_all()  # what cannot be stopped keeps its turn until this process ends
        if late:
            if outcomes and self.ledger and invocation.manifest is not None:
                _note(self.ledger, invocation, outcomes[0])
            raise DbtTimedOut(
                f"`dbt {' '.join(arguments[:1])}` took longer than {self.timeout_seconds:g} s (DBT_TIMEOUT_SECONDS) "
                f"and was stopped at {', '.join(late[:5])}. Find out why that takes so long, or raise "
                "DBT_TIMEOUT_SECONDS, then run again; the published tables stay as they were."
            )
        return outcomes[0]

    def _flags(self) -> list[str]:
        folder = str(self.project_dir)
        return ["--project-dir", folder, "--profiles-dir", folder, "--target", self.target, *_QUIET]

    def _check_project(self) -> None:
        for file in ("dbt_project.yml", "profiles.yml"):
            if not (self.project_dir / file).is_file():
                raise ConfigurationError(
                    f"There is no dbt project in {self.project_dir.absolute()}: {file} is missing. "
                    "Set DBT_PROJECT_DIR to the project's folder (a relative path counts from the current folder)."
                )

    def _tell(self, event: Any, errors: list[str]) -> None:
        text = event.info.msg
        if event.info.level in ("info", "warn", "error") and text.strip():
            self.log(printable(text))
        if event.info.level == "error":
            errors.append(text)

    def _failure(self, name: str, result: DbtResult, exception: BaseException | None, errors: list[str]) -> DbtFailed:
        failed = [node for node in result.nodes if node.failed]
        texts = [node.message for node in failed] + ([str(exception)] if exception else []) + errors
        for text in texts:
            if damaged := broken(text, self.warehouse or self.variables.get("WAREHOUSE_PATH", "")):
                return DbtFailed(f"`dbt {name}` could not read the warehouse: {_short(text)} {damaged}")
            if AWAY.search(text):
                return WarehouseAway(
                    f"`dbt {name}` could not reach Snowflake: {_short(text)} Check SNOWFLAKE_ACCOUNT, SNOWFLAKE_HOST "
                    "and the network, then run again."
                )
            if lock := re.search(r"Could not set lock on file.*", text, re.DOTALL):
                return _locked(lock.group())
        if any("No space left on device" in text for text in texts):
            return DbtFailed(f"`dbt {name}` ran out of disk space: make room, then run it again. {_short(texts[0])}")
        if failed:
            shown = "; ".join(f"{node.name} ({node.status}): {_short(node.message)}" for node in failed[:5])
            more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
            skipped = result.counts().get("skipped", 0)
            after = f" {skipped} nodes behind them were skipped." if skipped else ""
            return DbtFailed(
                f"`dbt {name}` failed on {shown}{more}.{after} Mend the data or the model, then run it again; "
                "the published tables stay as they were."
            )
        return DbtFailed(f"`dbt {name}` could not run: {_short(texts[0] if texts else 'dbt gave no reason')}")


_QUIET = ("--log-level", "none", "--log-level-file", "none", "--no-use-colors")


COUNTED = "rows: "
"""How a line begins with which the macro `count_rows` tells its figures."""


def _counting(manifest: Any) -> dict[str, str]:
    """A hook that counts rows, for each staging model whose source says what its key is, by the test on raw."""
    if not any(macro.name == "count_rows" for macro in manifest.macros.values()):
        return {}
    keys = {
        node.depends_on.nodes[0]: node.test_metadata.kwargs["columns"]
        for node in manifest.nodes.values()
        if (metadata := getattr(node, "test_metadata", None)) and metadata.name == "unique_in_each_file"
    }
    hooks = {}
    for name, node in manifest.nodes.items():
        parents = node.depends_on.nodes if str(node.resource_type) == "model" else []
        if len(parents) == 1 and parents[0] in keys and node.config.materialized != "ephemeral":
            source = manifest.sources[parents[0]]
            of = f"source({source.source_name!r}, {source.name!r})"
            hooks[name] = f"{{{{ count_rows({source.name!r}, {of}, {keys[parents[0]]!r}, this) }}}}"
    return hooks


class Invocation:
    """One run of dbt: what it says while it works."""

    def __init__(self, relation: str) -> None:
        self.id = uuid4().hex
        self.relation = relation
        self.running: set[str] = set()
        self.rows: list[RowCounts] = []
        self.manifest: Any = None

    def hear(self, event: Any) -> None:
        """Take note of dbt's manifest as soon as there is one, and of which nodes are at work."""
        if self.manifest is None:
            self._take_manifest()
        if event.info.name == "NodeStart":
            self.running.add(event.data.node_info.node_name)
        elif event.info.name == "NodeFinished":
            self.running.discard(event.data.node_info.node_name)
        elif event.info.name == "JinjaLogDebug" and event.info.msg.startswith(COUNTED):
            self.rows.append(RowCounts.model_validate_json(event.info.msg.removeprefix(COUNTED)))

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
        for name, hook in _counting(self.manifest).items():
            self.manifest.nodes[name].config.post_hook.append(Hook(sql=hook))


def _verb(command: Sequence[str]) -> str:
    """The dbt command of a command line, e.g. `build`; empty where there is none or only help is asked for."""
    if {"--help", "-h", "--version"} & set(command) or not command:
        return ""
    from dbt.cli.main import cli

    return next((word for word in command if word in cli.commands), "")


def _note(ledger: Ledger, invocation: Invocation, outcome: Any) -> None:
    """Note what was built and how each test ended, also of a command that failed."""
    state, last = ledger.read()
    graph = graph_of(invocation.manifest)
    results = getattr(outcome.result, "results", None) or []
    ended = [(each.node.unique_id, str(each.status)) for each in results if hasattr(each, "node")]
    prints = ledger.prints(graph, to_look_at(state, graph, ended))
    code = " ".join(code_version()).strip()
    ledger.write(settle(state, graph, invocation.id, ended, prints, code), last)


def _cancel(thread: threading.Thread) -> None:
    """Cancel dbt's queries, and those that it starts afterwards, until it ends."""
    from dbt.adapters.factory import FACTORY

    deadline = time.monotonic() + STOP_SECONDS
    while thread.is_alive() and time.monotonic() < deadline:
        for adapter in list(FACTORY.adapters.values()):
            with suppress(Exception), adapter.connection_named("cancel"):
                adapter.cancel_open_connections()
        thread.join(0.5)


def _nothing(command: Sequence[str], nodes: Sequence[DbtNode], manifest: Any) -> str:
    """Return why a command that ran no node failed, with names that a person may have meant; else empty."""
    asked = _selection(command)
    if nodes or manifest is None or _verb(command) not in RECORDED - {"retry"} or not (asked or "build" in command):
        return ""
    if not asked:
        return "The dbt project has no node to build. Add a model, or set DBT_PROJECT_DIR to your project's folder."
    names = sorted({node.name for node in manifest.nodes.values()})
    words = [word for each in asked for word in re.findall(r"[A-Za-z_][\w]*", each)]
    near = list(dict.fromkeys(name for word in words for name in get_close_matches(word, names)))
    hint = f"Did you mean {', '.join(near[:5])}?" if near else "`make dbt ARGS=ls` lists the nodes."
    return f"The selection {' '.join(asked)!r} matches no node of the dbt project, so nothing was done. {hint}"


def _selection(command: Sequence[str]) -> list[str]:
    """The words of a command line that select or exclude."""
    words, taking = list[str](), False
    for word in command:
        option, _, value = word.partition("=")
        if option in ("--select", "-s", "--models", "--model", "-m", "--exclude", "--selector", "--resource-type"):
            taking = not value
            words += [value] if value else []
        elif re.match(r"-[sm][^-]", word):  # its value follows at once
            taking, words = False, [*words, word[2:]]
        elif word.startswith("-"):
            taking = False
        elif taking:
            words.append(word)
    return words


def _nodes(result: Any) -> list[DbtNode]:
    return [
        DbtNode(
            id=each.node.unique_id,
            parents=list(getattr(each.node.depends_on, "nodes", []) if hasattr(each.node, "depends_on") else []),
            name=each.node.name,
            resource_type=str(each.node.resource_type),
            status=str(each.status),
            seconds=round(each.execution_time, 3),
            failures=each.failures if hasattr(each, "failures") else None,
            message=printable(each.message or ""),
        )
        for each in getattr(result, "results", None) or []
        if hasattr(each, "node")
    ]


NEVER = 1
"""The year in which dbt says that the newest row of an empty table was loaded."""


def _freshness(result: Any) -> SourceFreshness:
    known = result.node.source_name, result.node.name
    loaded_at = getattr(result, "max_loaded_at", None)
    if loaded_at and loaded_at.year == NEVER:
        loaded_at = None
    return SourceFreshness(
        source=".".join(known),
        status=str(result.status),
        loaded_at=loaded_at,
        age_hours=round(result.age / 3600, 2) if loaded_at else None,
        limit_hours=_limit_hours(getattr(result.node, "freshness", None)),
    )


def _limit_hours(freshness: Any) -> float | None:
    after = getattr(freshness, "error_after", None)
    hours = {"minute": 1 / 60, "hour": 1, "day": 24}.get(str(getattr(after, "period", "")))
    count = getattr(after, "count", None)
    return float(count) * hours if hours and count else None


def _release_warehouse() -> None:
    """Close what dbt-duckdb keeps open after a command: it would lock the file against every other process."""
    from dbt.adapters.factory import FACTORY

    for adapter in list(FACTORY.adapters.values()):
        close = getattr(adapter.connections, "close_all_connections", None)
        if close:
            close()
    FACTORY.reset_adapters()


def _locked(text: str) -> WarehouseLocked:
    holder = re.search(r"held in (.*?) \(PID (\d+)\)", text)
    who = f"process {holder.group(2)} ({holder.group(1)})" if holder else "another process"
    file = re.search(r'file "([^"]+)"', text)
    return WarehouseLocked(
        f"The warehouse {file.group(1) if file else ''} is open in {who}, and DuckDB lets one process in at a time. "
        "Close it there (a DuckDB prompt, a notebook, another dbt), then run again. "
        "To look at the tables while pipelines run, open the published copy instead."
    )


def _short(text: str, limit: int = 600) -> str:
    line = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"

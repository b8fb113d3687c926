"""Runs dbt's commands and returns their results.

Only one command runs at a time: dbt has global state in this process, and reads its connection from the environment.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from blocks import lake
from blocks.dbt.command_line import OFFLINE, RECORDED, nothing_selected, verb
from blocks.dbt.engine import Engine, Event, EventHandler, Outcome
from blocks.dbt.errors import DbtFailed, DbtTimedOut, NothingSelected, WarehouseAway, WarehouseLocked, failure
from blocks.dbt.in_process import InProcess
from blocks.dbt.invocation import Invocation, record
from blocks.dbt.results import DbtResult, SourceFreshness, freshness_of, nodes_of, sources_of
from blocks.errors import ConfigurationError, PlatformError, printable
from blocks.ledger import Ledger
from blocks.settings import environment
from blocks.turns import TurnMissed, turn

STOP_SECONDS = 60
"""Time within which a cancelled command must end."""
OF_PROJECT = re.compile(r"(Compilation|Parsing) Error")
"""Start of dbt's message if the project itself has an error."""
_dbt_lock = threading.Lock()
_parsed: dict[tuple[object, ...], Any] = {}
"""A manifest parsed in advance, by everything that it depends on except files. Only one command uses and changes it."""


class Dbt:
    """A dbt project with one target.

    Args:
        project_dir: folder with `dbt_project.yml` and `profiles.yml`.
        target: target of `profiles.yml`.
        variables: environment variables that the project reads.
        log: called with each line that dbt would print.
        warehouse: path whose lock file to wait for; None does not wait.
        ledger: records which tables were built and which tests passed.
        timeout_seconds: seconds after which a command is stopped.
        wait_seconds: how long to wait for another command that uses the warehouse.
        engine: runs dbt; in this process by default.
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
        engine: Engine | None = None,
    ) -> None:
        self.project_dir, self.target, self.variables, self.log = project_dir, target, variables, log
        self.warehouse, self.ledger = warehouse, ledger
        self.timeout_seconds, self.wait_seconds = timeout_seconds, wait_seconds
        self.engine: Engine = engine or InProcess()

    def run(self, *command: str, options: Sequence[str] = ()) -> DbtResult:
        """Run a dbt command, e.g. `run("build", "--select", "staging")`.

        Args:
            command: the command and its arguments.
            options: further arguments. If `parse_ahead` got the same options, its manifest is used.

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
        command = (*command, *options)
        name = " ".join(command)
        outcome, errors, invocation = self._invoke(command, self._flags(), self._project(options))
        result = DbtResult(
            command=name,
            nodes=nodes_of(outcome.results, invocation.of_changes),
            rows=invocation.rows,
            misfits=invocation.misfits,
            sources=sources_of(outcome.manifest),
        )
        if outcome.code:
            failure = self._failure(name, result, outcome.fault, errors)
            failure.result = result
            raise failure
        if reason := nothing_selected(command, result.nodes, outcome.manifest):
            raise NothingSelected(reason)
        return result

    def parse_ahead(self, *options: str) -> None:
        """Parse the project in advance, to save the next `run` with these options in this process the time.

        This does nothing if the warehouse is in use or the project has an error. The command itself waits, or reports
        the error.

        Args:
            options: the command's arguments besides its selection, e.g. `--vars`.
        """
        self.engine.warm_up()
        with ExitStack() as held:
            try:
                # dbt saves the parsed project in a file, which another command may be writing.
                if self.warehouse:
                    held.enter_context(turn(self.warehouse, 0, lambda _: None))
                self._use_dbt(held, 0)
            except TurnMissed:
                return
            parsed = self.engine.parse(["parse", *options, *self._flags()], self._warn)
            if parsed is not None:
                _parsed[self._project(options)] = parsed

    def _project(self, options: Sequence[str]) -> tuple[object, ...]:
        """Return what a manifest depends on, apart from the project's files."""
        return (self.project_dir, self.target, tuple(sorted(self.variables.items())), *options)

    def freshness(self) -> list[SourceFreshness]:
        """Return the age of each source's newest row. A stale source is not an error.

        Raises:
            ConfigurationError, WarehouseLocked, WarehouseAway, TurnMissed, DbtTimedOut, DbtFailed: see `run`.
        """
        self._check_project()
        name = "source freshness"
        outcome, errors, _ = self._invoke(("source", "freshness"), self._flags())
        failure = self._failure(name, DbtResult(command=name), outcome.fault, errors)
        if isinstance(failure, WarehouseLocked | WarehouseAway) or (outcome.code and not outcome.results):
            raise failure
        return [freshness_of(each) for each in outcome.results]

    def by_hand(self, arguments: Sequence[str]) -> int:
        """Run a person's command line like dbt's own command, which prints its progress; return dbt's exit code.

        Raises:
            PlatformError: see `run`. Failed nodes raise nothing, since dbt prints them.
        """
        outcome, *_ = self._invoke(arguments, ())
        if outcome.fault:
            raise self._failure(" ".join(arguments), DbtResult(command=""), outcome.fault, [])
        if not outcome.code and (reason := nothing_selected(arguments, nodes_of(outcome.results), outcome.manifest)):
            raise NothingSelected(reason)
        return outcome.code

    def _invoke(
        self, command: Sequence[str], flags: Sequence[str], project: tuple[object, ...] = ()
    ) -> tuple[Outcome, list[str], Invocation]:
        """Wait for this command's turn, then run dbt; return the outcome, dbt's error messages and the invocation."""
        errors: list[str] = []
        on_event = (lambda event: self._log_event(event, errors)) if flags else None
        ledger = self.ledger if verb(command) in RECORDED else None
        with ExitStack() as held:
            self._take_turn(command, held)
            parsed = _parsed.pop(project, None)
            _parsed.clear()  # this command may change the parts of a manifest, like `dbt deps`
            try:
                outcome, invocation = self._attempt([*command, *flags], on_event, ledger, held, parsed)
                if not invocation.begun and OF_PROJECT.match(outcome.fault):
                    # dbt's saved project can be wrong, e.g. after a snapshot's file was deleted.
                    self.log("dbt parses the whole project again, in case its saved project is out of date.")
                    errors.clear()
                    anew = [*command, *flags, "--no-partial-parse"]
                    outcome, invocation = self._attempt(anew, on_event, ledger, held)
                if ledger:
                    record(ledger, invocation.id, outcome)
            except PlatformError:
                raise
            except Exception as error:
                name = " ".join(command)
                raise self._failure(name, DbtResult(command=name), str(error), errors) from error
        return outcome, errors, invocation

    def _attempt(
        self,
        arguments: list[str],
        on_event: EventHandler | None,
        ledger: Ledger | None,
        held: ExitStack,
        parsed: Any = None,
    ) -> tuple[Outcome, Invocation]:
        """Run dbt once, and call `on_event` with each event. If it is None, dbt prints its progress."""
        invocation = Invocation()

        def handle(event: Event) -> None:
            invocation.handle(event)
            if on_event:
                on_event(event)

        def work() -> Outcome:
            notes = (ledger.relation if ledger else "", invocation.id)
            return self.engine.run(arguments, handle, notes=notes, parsed=parsed, shown=not on_event)

        if ledger:
            self.engine.begin(ledger, invocation.id)
        outcomes, late = self._within_time(work, invocation, held)
        if late:
            if outcomes and ledger:
                record(ledger, invocation.id, outcomes[0])
            raise DbtTimedOut(
                f"`dbt {' '.join(arguments[:1])}` took longer than {self.timeout_seconds:g} s (DBT_TIMEOUT_SECONDS) "
                f"and was stopped at {', '.join(late[:5])}. Find out why this takes so long, or increase "
                "DBT_TIMEOUT_SECONDS. Then run again. The published tables did not change."
            )
        return outcomes[0], invocation

    def _take_turn(self, command: Sequence[str], held: ExitStack) -> None:
        if self.warehouse and verb(command) not in OFFLINE:
            held.enter_context(turn(self.warehouse, self.wait_seconds, self.log))
        self._use_dbt(held, self.wait_seconds)
        if (folder := self.variables.get("LAKE_DIR")) and verb(command) not in OFFLINE:
            held.enter_context(lake.reading(Path(folder)))

    def _use_dbt(self, held: ExitStack, wait_seconds: float) -> None:
        if not _dbt_lock.acquire(timeout=wait_seconds):
            raise TurnMissed(
                f"Another dbt command ran in this process for more than {wait_seconds:g} s "
                "(WAREHOUSE_WAIT_SECONDS). If it hangs, stop the process, then run again."
            )
        held.callback(_dbt_lock.release)
        held.enter_context(environment(self.variables))

    def _within_time(
        self, work: Callable[[], Outcome], invocation: Invocation, held: ExitStack
    ) -> tuple[list[Outcome], list[str]]:
        """Return dbt's outcome, if it ended, and the nodes that were running if it was stopped at the deadline.

        Running queries are cancelled at the deadline, and if a person interrupts the command.
        """
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(work()), name="dbt", daemon=True)
        thread.start()
        late: list[str] = []
        try:
            thread.join(self.timeout_seconds)
            if thread.is_alive():
                late = sorted(invocation.running) or ["dbt itself"]
        finally:
            self._stop(thread)
            if thread.is_alive():
                held.pop_all()  # a command that cannot be stopped keeps its turn until this process ends
        return outcomes, late

    def _stop(self, thread: threading.Thread) -> None:
        """Interrupt dbt repeatedly until it ends, since it may start further queries."""
        deadline = time.monotonic() + STOP_SECONDS
        while thread.is_alive() and time.monotonic() < deadline:
            with suppress(Exception):
                self.engine.interrupt()
            thread.join(0.5)

    def _flags(self) -> list[str]:
        folder = str(self.project_dir)
        return ["--project-dir", folder, "--profiles-dir", folder, "--target", self.target]

    def _failure(self, name: str, result: DbtResult, fault: str, errors: list[str]) -> DbtFailed:
        return failure(name, result, fault, errors, self.warehouse or self.variables.get("WAREHOUSE_PATH", ""))

    def _check_project(self) -> None:
        for file in ("dbt_project.yml", "profiles.yml"):
            if not (self.project_dir / file).is_file():
                raise ConfigurationError(
                    f"There is no dbt project in {self.project_dir.absolute()}: {file} is missing. "
                    "Set DBT_PROJECT_DIR to the project's folder. A relative path starts at the working directory."
                )

    def _warn(self, event: Event) -> None:
        if event.level == "warn":
            self.log(printable(event.text))

    def _log_event(self, event: Event, errors: list[str]) -> None:
        if event.level in ("info", "warn", "error") and event.text.strip():
            self.log(printable(event.text))
        if event.level == "error":
            errors.append(event.text)

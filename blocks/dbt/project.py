"""Runs dbt's commands, and says what came of them.

One command at a time: in this process dbt keeps global state, and it reads its connection from the environment.
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
from blocks.dbt.engine import Engine, Event, Hear, Outcome
from blocks.dbt.errors import DbtFailed, DbtTimedOut, NothingSelected, WarehouseAway, WarehouseLocked, failure
from blocks.dbt.in_process import InProcess
from blocks.dbt.invocation import Invocation, note_in
from blocks.dbt.results import DbtResult, SourceFreshness, freshness_of, nodes_of, sources_of
from blocks.errors import ConfigurationError, PlatformError, printable
from blocks.ledger import Ledger
from blocks.settings import environment
from blocks.turns import TurnMissed, turn

STOP_SECONDS = 60
"""How long a cancelled command may take to end."""
OF_PROJECT = re.compile(r"(Compilation|Parsing) Error")
"""How dbt's words begin if the project itself is wrong."""
_one_at_a_time = threading.Lock()
_parsed: dict[tuple[object, ...], Any] = {}
"""A manifest that was parsed ahead, by all that it depends on but for the files. For one command, which changes it."""


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
        engine: how dbt is run; in this process by default.
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
            command: it and its arguments.
            options: further arguments; where `parse_ahead` was given the same, its manifest is taken.

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
        """Parse the project, so that the next `run` of a command with these options in this process need not.

        Where the warehouse is in use or the project has a fault nothing happens: the command itself waits, or says so.

        Args:
            options: what the command has besides its selection, e.g. `--vars`.
        """
        self.engine.warm_up()
        with ExitStack() as held:
            try:
                # dbt keeps what it has parsed in a file, which another command may be writing.
                if self.warehouse:
                    held.enter_context(turn(self.warehouse, 0, lambda _: None))
                self._use_dbt(held, 0)
            except TurnMissed:
                return
            parsed = self.engine.parse(["parse", *options, *self._flags()], self._warn)
            if parsed is not None:
                _parsed[self._project(options)] = parsed

    def _project(self, options: Sequence[str]) -> tuple[object, ...]:
        """What a manifest depends on beside the project's files."""
        return (self.project_dir, self.target, tuple(sorted(self.variables.items())), *options)

    def freshness(self) -> list[SourceFreshness]:
        """Ask dbt how old each source's newest row is, whatever the answer.

        Raises:
            ConfigurationError, WarehouseLocked, WarehouseAway, TurnMissed, DbtTimedOut, DbtFailed: as `run`.
        """
        self._check_project()
        name = "source freshness"
        outcome, errors, _ = self._invoke(("source", "freshness"), self._flags())
        failure = self._failure(name, DbtResult(command=name), outcome.fault, errors)
        if isinstance(failure, WarehouseLocked | WarehouseAway) or (outcome.code and not outcome.results):
            raise failure
        return [freshness_of(each) for each in outcome.results]

    def by_hand(self, arguments: Sequence[str]) -> int:
        """Run a person's command line as dbt's own would, which prints what happens; return dbt's exit code.

        Raises:
            PlatformError: as `run`, but for nodes that failed, which dbt prints.
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
        """Run dbt when it is this command's turn; give its outcome and the errors that it told."""
        errors: list[str] = []
        tell = (lambda event: self._tell(event, errors)) if flags else None
        ledger = self.ledger if verb(command) in RECORDED else None
        with ExitStack() as held:
            self._take_turn(command, held)
            parsed = _parsed.pop(project, None)
            _parsed.clear()  # this command may change what a manifest is made of, as `dbt deps` does
            try:
                outcome, invocation = self._attempt([*command, *flags], tell, ledger, held, parsed)
                if not invocation.begun and OF_PROJECT.match(outcome.fault):
                    # What dbt remembers of a project can be wrong, as after a snapshot's file was deleted.
                    self.log("dbt parses the whole project anew, in case what it remembers of it is wrong.")
                    errors.clear()
                    anew = [*command, *flags, "--no-partial-parse"]
                    outcome, invocation = self._attempt(anew, tell, ledger, held)
                if ledger:
                    note_in(ledger, invocation.id, outcome)
            except PlatformError:
                raise
            except Exception as error:
                name = " ".join(command)
                raise self._failure(name, DbtResult(command=name), str(error), errors) from error
        return outcome, errors, invocation

    def _attempt(
        self, arguments: list[str], tell: Hear | None, ledger: Ledger | None, held: ExitStack, parsed: Any = None
    ) -> tuple[Outcome, Invocation]:
        """Run dbt once. Each event goes to `tell`; without it, dbt prints what it does."""
        invocation = Invocation()

        def hear(event: Event) -> None:
            invocation.hear(event)
            if tell:
                tell(event)

        def work() -> Outcome:
            notes = (ledger.relation if ledger else "", invocation.id)
            return self.engine.run(arguments, hear, notes=notes, parsed=parsed, shown=not tell)

        if ledger:
            self.engine.begin(ledger, invocation.id)
        outcomes, late = self._within_time(work, invocation, held)
        if late:
            if outcomes and ledger:
                note_in(ledger, invocation.id, outcomes[0])
            raise DbtTimedOut(
                f"`dbt {' '.join(arguments[:1])}` took longer than {self.timeout_seconds:g} s (DBT_TIMEOUT_SECONDS) "
                f"and was stopped at {', '.join(late[:5])}. Find out why that takes so long, or raise "
                "DBT_TIMEOUT_SECONDS, then run again; the published tables stay as they were."
            )
        return outcomes[0], invocation

    def _take_turn(self, command: Sequence[str], held: ExitStack) -> None:
        if self.warehouse and verb(command) not in OFFLINE:
            held.enter_context(turn(self.warehouse, self.wait_seconds, self.log))
        self._use_dbt(held, self.wait_seconds)
        if (folder := self.variables.get("LAKE_DIR")) and verb(command) not in OFFLINE:
            held.enter_context(lake.reading(Path(folder)))

    def _use_dbt(self, held: ExitStack, wait_seconds: float) -> None:
        if not _one_at_a_time.acquire(timeout=wait_seconds):
            raise TurnMissed(
                f"Another dbt command ran in this process for more than {wait_seconds:g} s "
                "(WAREHOUSE_WAIT_SECONDS). If it hangs, end the process, then run again."
            )
        held.callback(_one_at_a_time.release)
        held.enter_context(environment(self.variables))

    def _within_time(
        self, work: Callable[[], Outcome], invocation: Invocation, held: ExitStack
    ) -> tuple[list[Outcome], list[str]]:
        """dbt's outcome, if it ended, and at which nodes it was stopped at the deadline.

        A query that hangs is cancelled then, and so is one that a person interrupts.
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
                held.pop_all()  # what cannot be stopped keeps its turn until this process ends
        return outcomes, late

    def _stop(self, thread: threading.Thread) -> None:
        """Interrupt dbt, and what it starts afterwards, until it ends."""
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
                    "Set DBT_PROJECT_DIR to the project's folder (a relative path counts from the current folder)."
                )

    def _warn(self, event: Event) -> None:
        if event.level == "warn":
            self.log(printable(event.text))

    def _tell(self, event: Event, errors: list[str]) -> None:
        if event.level in ("info", "warn", "error") and event.text.strip():
            self.log(printable(event.text))
        if event.level == "error":
            errors.append(event.text)

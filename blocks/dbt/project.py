"""Runs dbt in this process: a long-lived one pays dbt's import (some 5 s) once.

One invocation at a time: dbt keeps global state, and reads its connection from the process's environment.
"""

import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from blocks import lake
from blocks.dbt.command_line import OFFLINE, RECORDED, nothing_selected, verb
from blocks.dbt.errors import DbtFailed, DbtTimedOut, NothingSelected, WarehouseAway, WarehouseLocked, failure
from blocks.dbt.invocation import Invocation, cancel, note_in, release_warehouse
from blocks.dbt.results import DbtResult, SourceFreshness, freshness_of, nodes_of, sources_of
from blocks.errors import ConfigurationError, PlatformError, printable
from blocks.ledger import Ledger
from blocks.settings import environment
from blocks.turns import TurnMissed, turn

QUIET = ("--log-level", "none", "--log-level-file", "none", "--no-use-colors")
_one_at_a_time = threading.Lock()
_parsed: dict[tuple[object, ...], Any] = {}
"""A manifest that was parsed ahead, by all that it depends on but for the files. For one command, which changes it."""


def warm_up() -> None:
    """Import dbt and its adapters now, so that the first command need not wait for it."""
    importlib.import_module("dbt.cli.main")
    importlib.import_module("dbt.adapters.duckdb")


def _is_of_project(error: BaseException | None) -> bool:
    """Whether dbt says that the project itself is wrong."""
    from dbt.exceptions import ParsingError
    from dbt_common.exceptions import CompilationError

    return isinstance(error, CompilationError | ParsingError)


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
            nodes=nodes_of(outcome.result, invocation.of_changes),
            rows=invocation.rows,
            misfits=invocation.misfits,
            sources=sources_of(invocation.manifest),
        )
        if not outcome.success:
            failure = self._failure(name, result, outcome.exception, errors)
            failure.result = result
            raise failure
        if reason := nothing_selected(command, result.nodes, invocation.manifest):
            raise NothingSelected(reason)
        return result

    def parse_ahead(self, *options: str) -> None:
        """Parse the project, so that the next `run` of a command with these options in this process need not.

        Where the warehouse is in use or the project has a fault nothing happens: the command itself waits, or says so.

        Args:
            options: what the command has besides its selection, e.g. `--vars`.
        """
        from dbt.cli.main import dbtRunner

        with ExitStack() as held:
            try:
                # dbt keeps what it has parsed in a file, which another command may be writing.
                if self.warehouse:
                    held.enter_context(turn(self.warehouse, 0, lambda _: None))
                self._use_dbt(held, 0)
            except TurnMissed:
                return
            outcome = dbtRunner(callbacks=[self._warn]).invoke(["parse", *options, *self._flags()])
            release_warehouse()
            if outcome.success:
                _parsed[self._project(options)] = outcome.result

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
        results = getattr(outcome.result, "results", None) or []
        failure = self._failure(name, DbtResult(command=name), outcome.exception, errors)
        if isinstance(failure, WarehouseLocked | WarehouseAway) or not (results or outcome.success):
            raise failure
        return [freshness_of(each) for each in results]

    def by_hand(self, arguments: Sequence[str]) -> int:
        """Run a person's command line as dbt's own would, which prints what happens; return dbt's exit code.

        Raises:
            PlatformError: as `run`, but for nodes that failed, which dbt prints.
        """
        outcome, _, invocation = self._invoke(arguments, ())
        if outcome.exception:
            raise self._failure(" ".join(arguments), DbtResult(command=""), outcome.exception, [])
        if outcome.success and (reason := nothing_selected(arguments, nodes_of(outcome.result), invocation.manifest)):
            raise NothingSelected(reason)
        return 0 if outcome.success else 1

    def _invoke(
        self, command: Sequence[str], flags: Sequence[str], project: tuple[object, ...] = ()
    ) -> tuple[Any, list[str], "Invocation"]:
        """Run dbt when it is this command's turn; give its outcome and the errors that it told."""
        errors: list[str] = []
        tell: list[Callable[[Any], None]] = [lambda event: self._tell(event, errors)] if flags else []
        ledger = self.ledger if verb(command) in RECORDED else None
        with ExitStack() as held:
            self._take_turn(command, held)
            parsed = _parsed.pop(project, None)
            _parsed.clear()  # this command may change what a manifest is made of, as `dbt deps` does
            try:
                if ledger:
                    ledger.read()  # dbt's hooks write into it
                relation = ledger.relation if ledger else ""
                outcome, invocation = self._attempt([*command, *flags], Invocation(relation, parsed), tell, held)
                if not invocation.begun and _is_of_project(outcome.exception):
                    # What dbt remembers of a project can be wrong, as after a snapshot's file was deleted.
                    self.log("dbt parses the whole project anew, in case what it remembers of it is wrong.")
                    errors.clear()
                    anew = [*command, *flags, "--no-partial-parse"]
                    outcome, invocation = self._attempt(anew, Invocation(relation), tell, held)
                if ledger and invocation.manifest is not None:
                    note_in(ledger, invocation, outcome)
            except PlatformError:
                raise
            except Exception as error:
                name = " ".join(command)
                raise self._failure(name, DbtResult(command=name), error, errors) from error
        return outcome, errors, invocation

    def _attempt(
        self, arguments: list[str], invocation: Invocation, tell: Sequence[Callable[[Any], None]], held: ExitStack
    ) -> tuple[Any, Invocation]:
        return self._within_time(arguments, [invocation.hear, *tell], invocation, held), invocation

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
        self, arguments: list[str], callbacks: list[Callable[[Any], None]], invocation: "Invocation", held: ExitStack
    ) -> Any:
        """dbt's outcome; a query that hangs is cancelled at the deadline, and so is one that a person interrupts."""
        from dbt.cli.main import cli, dbtRunner

        cli.name = "dbt"  # as its help shows
        outcomes: list[Any] = []

        def work() -> None:
            try:
                outcomes.append(dbtRunner(invocation.parsed, callbacks).invoke(arguments))
            finally:
                release_warehouse()

        thread = threading.Thread(target=work, name="dbt", daemon=True)
        thread.start()
        late: list[str] = []
        try:
            thread.join(self.timeout_seconds)
            if thread.is_alive():
                late = sorted(invocation.running) or ["dbt itself"]
        finally:
            if thread.is_alive():
                cancel(thread)
            if thread.is_alive():
                held.pop_all()  # what cannot be stopped keeps its turn until this process ends
        if late:
            if outcomes and self.ledger and invocation.manifest is not None:
                note_in(self.ledger, invocation, outcomes[0])
            raise DbtTimedOut(
                f"`dbt {' '.join(arguments[:1])}` took longer than {self.timeout_seconds:g} s (DBT_TIMEOUT_SECONDS) "
                f"and was stopped at {', '.join(late[:5])}. Find out why that takes so long, or raise "
                "DBT_TIMEOUT_SECONDS, then run again; the published tables stay as they were."
            )
        return outcomes[0]

    def _flags(self) -> list[str]:
        folder = str(self.project_dir)
        return ["--project-dir", folder, "--profiles-dir", folder, "--target", self.target, *QUIET]

    def _failure(self, name: str, result: DbtResult, exception: BaseException | None, errors: list[str]) -> DbtFailed:
        return failure(name, result, exception, errors, self.warehouse or self.variables.get("WAREHOUSE_PATH", ""))

    def _check_project(self) -> None:
        for file in ("dbt_project.yml", "profiles.yml"):
            if not (self.project_dir / file).is_file():
                raise ConfigurationError(
                    f"There is no dbt project in {self.project_dir.absolute()}: {file} is missing. "
                    "Set DBT_PROJECT_DIR to the project's folder (a relative path counts from the current folder)."
                )

    def _warn(self, event: Any) -> None:
        if event.info.level == "warn":
            self.log(printable(event.info.msg))

    def _tell(self, event: Any, errors: list[str]) -> None:
        text = event.info.msg
        if event.info.level in ("info", "warn", "error") and text.strip():
            self.log(printable(text))
        if event.info.level == "error":
            errors.append(text)

"""Runs dbt in this process: a long-lived one pays dbt's import (some 5 s) once.

One invocation at a time: dbt keeps global state, and reads its connection from the process's environment.
"""

import importlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from blocks.errors import ConfigurationError, PlatformError
from blocks.settings import environment

FAILED = frozenset({"error", "fail", "runtime error", "partial success"})
_one_at_a_time = threading.Lock()


class DbtFailed(PlatformError):
    """A node failed, or dbt could not run; the text names the nodes and their messages, `result` has them all."""

    result: "DbtResult | None" = None


class StaleSource(PlatformError):
    """A source is older than the threshold; the text names it, its age and the threshold."""


class WarehouseLocked(DbtFailed):
    """Another process has the DuckDB file open; the text names it."""


class DbtNode(BaseModel):
    """The result of one node. `seconds` is its execution time; `rows` what a model wrote, where the adapter knows."""

    name: str
    resource_type: str
    status: str
    seconds: float = 0.0
    failures: int | None = None
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether this node makes the command fail."""
        return self.status in FAILED


class DbtResult(BaseModel):
    """The results of one dbt command, a node each."""

    command: str
    nodes: list[DbtNode] = []

    def counts(self) -> dict[str, int]:
        """How many nodes ended in each status, e.g. `{"success": 12, "pass": 60}`."""
        statuses = [node.status for node in self.nodes]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}


class SourceFreshness(BaseModel):
    """How old a source's newest row is; `age_hours` and `loaded_at` are unknown where it has no row."""

    source: str
    status: str
    loaded_at: datetime | None = None
    age_hours: float | None = None


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
    """

    def __init__(
        self, project_dir: Path, target: str, variables: Mapping[str, str], log: Callable[[str], None] = print
    ) -> None:
        self.project_dir, self.target, self.variables, self.log = project_dir, target, variables, log

    def run(self, *command: str) -> DbtResult:
        """Run a dbt command, e.g. `run("build", "--select", "staging")`.

        Raises:
            ConfigurationError: there is no dbt project.
            WarehouseLocked: another process has the warehouse open.
            DbtFailed: a node failed, or the project cannot be used.
        """
        name, outcome, errors = self._invoke(command)
        result = DbtResult(command=name, nodes=_nodes(outcome.result))
        if not outcome.success:
            failure = self._failure(name, result, outcome.exception, errors)
            failure.result = result
            raise failure
        return result

    def freshness(self) -> list[SourceFreshness]:
        """Ask dbt how old each source's newest row is, whatever the answer.

        Raises:
            ConfigurationError, WarehouseLocked, DbtFailed: as `run`.
        """
        name, outcome, errors = self._invoke(("source", "freshness"))
        results = getattr(outcome.result, "results", None) or []
        failure = self._failure(name, DbtResult(command=name), outcome.exception, errors)
        if isinstance(failure, WarehouseLocked) or not (results or outcome.success):
            raise failure
        return [_freshness(each) for each in results]

    def _invoke(self, command: Sequence[str]) -> tuple[str, Any, list[str]]:
        self._check_project()
        from dbt.cli.main import dbtRunner

        errors: list[str] = []
        runner = dbtRunner(callbacks=[lambda event: self._tell(event, errors)])
        with _one_at_a_time, environment(self.variables):
            try:
                outcome = runner.invoke([*command, *self._flags()])
            finally:
                _release_warehouse()
        return " ".join(command), outcome, errors

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
            self.log(text)
        if event.info.level == "error":
            errors.append(text)

    def _failure(self, name: str, result: DbtResult, exception: BaseException | None, errors: list[str]) -> DbtFailed:
        failed = [node for node in result.nodes if node.failed]
        texts = [node.message for node in failed] + ([str(exception)] if exception else []) + errors
        for text in texts:
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


def _nodes(result: Any) -> list[DbtNode]:
    return [
        DbtNode(
            name=each.node.name,
            resource_type=str(each.node.resource_type),
            status=str(each.status),
            seconds=round(each.execution_time, 3),
            failures=each.failures if hasattr(each, "failures") else None,
            message=each.message or "",
        )
        for each in getattr(result, "results", None) or []
    ]


def _freshness(result: Any) -> SourceFreshness:
    known = result.node.source_name, result.node.name
    age = getattr(result, "age", None)
    return SourceFreshness(
        source=".".join(known),
        status=str(result.status),
        loaded_at=getattr(result, "max_loaded_at", None),
        age_hours=None if age is None else round(age / 3600, 2),
    )


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

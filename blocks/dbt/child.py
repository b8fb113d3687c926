"""Runs dbt as a child process, and reads its structured log and its artifacts."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from blocks.dbt import tether
from blocks.dbt.engine import Event, EventHandler, Outcome
from blocks.errors import ConfigurationError
from blocks.ledger import Ledger, begin_all

JSON = ("--log-format", "json", "--log-level", "debug", "--log-level-file", "none", "--no-use-colors", "--write-json")
JSON_FILE = ("--log-format-file", "json", "--log-level-file", "debug", "--log-file-max-bytes", "0", "--write-json")
ENCOUNTERED = "Encountered an error:"
"""Prefix of dbt's last message if it could not run."""


class Record(dict[str, Any]):
    """An object in an artifact. Its values are also attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Child:
    """dbt's executable. It reads its connection from the environment, and ends when this process ends.

    While it runs, nothing is recorded in the warehouse. So tables that a killed command has built count as not built
    until the next build.

    Raises:
        ConfigurationError: the executable does not exist or cannot be run.
    """

    def __init__(self, executable: str) -> None:
        found = shutil.which(executable)
        if not found:
            raise ConfigurationError(
                f"DBT_EXECUTABLE is {executable!r}, which cannot be run. Set it to the path of a dbt, or unset it to "
                "run dbt in the flow's process."
            )
        self.executable = found
        self._process: subprocess.Popen[str] | None = None

    def warm_up(self) -> None:
        """Do nothing: each command starts its own process."""

    def parse(self, _arguments: Sequence[str], _on_event: EventHandler) -> None:
        """Do nothing: a child process cannot take over a parsed manifest."""

    def begin(self, ledger: Ledger, command: str) -> None:
        """Record that the command may build any table."""
        begin_all(ledger, command)

    def run(
        self,
        arguments: Sequence[str],
        on_event: EventHandler,
        *,
        notes: tuple[str, str],  # noqa: ARG002
        parsed: Any,  # noqa: ARG002
        shown: bool,
    ) -> Outcome:
        """Run a command. Read its events from its standard output, or from its log file if it prints for a person."""
        with tempfile.TemporaryDirectory() as folder:
            log = (*JSON_FILE, "--log-path", folder) if shown else JSON
            command = [sys.executable, "-I", tether.__file__, self.executable, *arguments, *log]
            events = _Events(on_event)
            with subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=None if shown else subprocess.PIPE, start_new_session=True,
                stderr=None if shown else subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
            ) as self._process:  # fmt: skip
                events.read(self._process.stdout or ())
                code = self._process.wait()
            for file in Path(folder).glob("dbt.log"):
                events.read(file.read_text(encoding="utf-8", errors="replace").splitlines())
            return events.outcome(code)

    def interrupt(self) -> None:
        """Close the child's standard input, at which `tether.py` interrupts dbt."""
        if self._process and self._process.stdin:
            self._process.stdin.close()


class _Events:
    """A child's events so far."""

    def __init__(self, on_event: EventHandler) -> None:
        self.on_event = on_event
        self.artifacts: dict[str, Path] = {}
        self.ended: dict[str, Record] = {}
        self.fault = ""
        self.others: list[str] = []

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                entry = json.loads(line)
                data, info = entry["data"], entry["info"]
                event = Event(info["name"], info["level"], info["msg"], data.get("node_info", {}).get("node_name", ""))
            except (ValueError, LookupError, TypeError, AttributeError):
                self.others.append(line.strip())
                continue
            if event.name == "ArtifactWritten":
                self.artifacts[Path(data["artifact_path"]).name] = Path(data["artifact_path"])
            elif event.name == "NodeFinished":
                id_ = data["node_info"]["unique_id"]
                self.ended[id_] = Record(data["run_result"], unique_id=id_)
            elif event.name == "MainEncounteredError":
                self.fault = event.text.removeprefix(ENCOUNTERED).strip()
            self.on_event(event)

    def outcome(self, code: int) -> Outcome:
        manifest = self._artifact("manifest.json")
        found = self._artifact("run_results.json") or self._artifact("sources.json") or Record(results=[])
        # A killed command writes no results, and sources.json omits the sources that cannot be read.
        by_id = self.ended | {each.unique_id: each for each in found.results}
        results = [_result(each, manifest) for each in by_id.values()] if manifest else []
        if code in (0, 1):
            return Outcome(code, "", results, manifest)
        ended = f"dbt was killed by signal {code - 128}." if code > 128 else f"dbt ended with exit code {code}."
        return Outcome(code, self.fault or " ".join([ended, *self.others[-20:]]), results, manifest)

    def _artifact(self, name: str) -> Any:
        file = self.artifacts.get(name)
        return json.loads(file.read_bytes(), object_hook=Record) if file else None


def _result(result: Record, manifest: Record) -> Record:
    """Add a result's node and a source's age, which dbt's results have inside dbt's own process."""
    id_ = result.unique_id
    nodes = (manifest.nodes, manifest.unit_tests, manifest.sources, manifest.exposures)
    node = next((each[id_] for each in nodes if id_ in each), None)
    result["node"] = node or Record(unique_id=id_, name=id_.split(".")[-1], resource_type=id_.split(".")[0])
    if "max_loaded_at" in result:
        result["max_loaded_at"] = datetime.fromisoformat(result.max_loaded_at)
        result["age"] = result.max_loaded_at_time_ago_in_s
    return result

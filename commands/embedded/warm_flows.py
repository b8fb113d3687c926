"""The client of `commands.embedded.runner`: requests flow runs, and shows their progress."""

import json
import time
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from rich.markup import escape
from rich.status import Status

from blocks.errors import PlatformError
from commands.embedded.processes import Processes, ServiceFailed

ANSWER_SECONDS = 600.0


class FlowFailed(PlatformError):
    """A flow run failed. The message is its own."""


class WarmFlows:
    """A process that runs flows. Results are JSON objects, so that this process need not import the flows."""

    def __init__(self, processes: Processes, variables: Mapping[str, str]) -> None:
        self.processes = processes
        self.child = processes.start("flows", ["-m", "commands.embedded.runner"], variables, talk=True)
        self.answers: SimpleQueue[bytes] = SimpleQueue()
        Thread(target=self._listen, name="answers", daemon=True).start()

    def wait_until_ready(self, status: Status) -> None:
        """Wait until Prefect and dbt are imported."""
        self._answer(status)

    def pipeline(self, keys: Sequence[str], status: Status) -> dict[str, Any]:
        """Run the pipeline on landed files, and return its `PipelineResult`.

        Raises:
            FlowFailed: the flow run failed.
            ServiceFailed: a process ended, or the run took more than ANSWER_SECONDS.
        """
        if self.child.stdin:
            self.child.stdin.write(f"{json.dumps(keys)}\n".encode())
            self.child.stdin.flush()
        answer = self._answer(status)
        if "error" in answer:
            raise FlowFailed(answer["error"])
        return answer

    def _listen(self) -> None:
        for line in self.child.stdout or ():
            self.answers.put(line)

    def _answer(self, status: Status) -> dict[str, Any]:
        deadline, doing = time.monotonic() + ANSWER_SECONDS, str(status.status)
        while time.monotonic() < deadline:
            try:
                answer: dict[str, Any] = json.loads(self.answers.get(timeout=0.2))
            except Empty:
                self.processes.check()
                status.update(f"{doing}  [dim]{escape(self._newest_line())}[/dim]")
            else:
                return answer
        raise ServiceFailed(f"The flows took more than {ANSWER_SECONDS:.0f} s. {self.processes.last_words('flows')}")

    def _newest_line(self) -> str:
        lines = self.processes.log("flows").read_bytes()[-2000:].decode(errors="replace").splitlines()
        return lines[-1].rpartition(" - ")[2][:100] if lines else ""

"""Starts, watches and ends the platform's processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from blocks.errors import PlatformError
from blocks.settings import child_environment

# No module beside a process, or below a person's home, is taken for one of ours; text and paths are UTF-8.
OWN_PYTHON = {"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
START_SECONDS = 120.0
STOP_SECONDS = 10.0
PID = ".pid"
"""What the name of a file ends with that has a process's id, beside its log."""


def pids(logs: Path) -> dict[str, int]:
    """The ids of the processes that were started last with this folder of logs, by name, whether they run or not."""
    return {file.stem: int(file.read_text(encoding="utf-8")) for file in sorted(logs.glob(f"*{PID}"))}


class ServiceFailed(PlatformError):
    """A service did not start, or ended by itself."""


class Processes:
    """Child processes that end together, the last started first; also when this process is killed.

    Each leads a process group of its own, so that Ctrl-C reaches this process alone, and so that what a child has
    started ends with it.

    Args:
        logs: folder for `NAME.log` of each.
    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for child in reversed(self.children.values()):
            _signal_group(child, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(STOP_SECONDS)
            _signal_group(child, signal.SIGKILL)
            child.wait()
            for pipe in filter(None, (child.stdin, child.stdout)):
                pipe.close()

    def start(
        self, name: str, arguments: Sequence[str], variables: Mapping[str, str], talk: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start `python ARGUMENTS`; what it prints goes to `logs/NAME.log`, with `talk` only its standard error.

        It starts in the folder of the logs: where a person stands, Prefect would read a `.env` and a `prefect.toml`.
        """
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(  # noqa: S603
                [sys.executable, *arguments],
                cwd=self.logs,
                env=child_environment({**OWN_PYTHON, **self._home(), **variables}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if talk else log,
                stderr=log,
                start_new_session=True,
            )
        self.children[name] = child
        (self.logs / f"{name}{PID}").write_text(f"{child.pid}\n", encoding="utf-8")
        return child

    def _home(self) -> dict[str, str]:
        """A home for a user who has none, as in many a container: Prefect and dbt look for theirs at their start."""
        with suppress(RuntimeError):
            if Path("~").expanduser().is_dir():
                return {}
        return {"HOME": str(self.logs)}

    def log(self, name: str) -> Path:
        """The file that a process's output goes to."""
        return self.logs / f"{name}.log"

    def wait_until_ready(self, name: str, url: str) -> None:
        """Wait until a GET of the URL succeeds.

        Raises:
            ServiceFailed: the process ended, or took more than START_SECONDS.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            try:
                if httpx.get(url, timeout=5, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise ServiceFailed(f"{name} was not ready after {START_SECONDS:.0f} s. {self.last_words(name)}")

    def check(self) -> None:
        """Make sure that every process still runs.

        Raises:
            ServiceFailed: one has ended.
        """
        for name, child in self.children.items():
            if child.poll() is not None:
                raise ServiceFailed(f"{name} ended with exit code {child.returncode}. {self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """The end of a process's log, and where the rest is."""
        log = self.log(name)
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return f"Its last line: {lines[-1] if lines else '(none)'} The whole log: {log}"


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def check_port(port: int, service: str) -> None:
    """Make sure that a port can be listened on.

    Raises:
        ServiceFailed: another program has it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServiceFailed(
                f"Port {port}, which {service} wants, is taken ({error.strerror}). Another `make dev` or `make up` may "
                f"be running; `lsof -i :{port}` names the program. End it, then try again."
            ) from error

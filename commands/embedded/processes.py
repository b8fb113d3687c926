"""Starts, watches and stops the platform's processes."""

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

# Modules in the current or home folder are not imported instead of the platform's. Text and paths are UTF-8.
OWN_PYTHON = {"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
START_SECONDS = 120.0
STOP_SECONDS = 10.0
PID = ".pid"
"""Suffix of the file with a process's id, which is beside its log."""


def pids(logs: Path) -> dict[str, int]:
    """Return the ids of the processes that were last started with this log folder, by name, even if they ended."""
    return {file.stem: int(file.read_text(encoding="utf-8")) for file in sorted(logs.glob(f"*{PID}"))}


class ServiceFailed(PlatformError):
    """A service did not start, or ended unexpectedly."""


class Processes:
    """Child processes that end together, in reverse order of their start, even if this process is killed.

    Each child leads its own process group. So Ctrl-C reaches only this process, and a child's own children end with it.

    Args:
        logs: folder for the log of each child, `NAME.log`.
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
        """Start `python ARGUMENTS` with its output in `logs/NAME.log`. With `talk`, only standard error goes there.

        It starts in the log folder, because Prefect would read a `.env` and a `prefect.toml` in the user's folder.
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
        """Return a HOME for a user without one, as in many containers. Prefect and dbt need it when they start."""
        with suppress(RuntimeError):
            if Path("~").expanduser().is_dir():
                return {}
        return {"HOME": str(self.logs)}

    def log(self, name: str) -> Path:
        """Return the file for a process's output."""
        return self.logs / f"{name}.log"

    def wait_until_ready(self, name: str, url: str) -> None:
        """Wait until a GET request to the URL succeeds.

        Raises:
            ServiceFailed: the process ended, or it took more than START_SECONDS.
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
        """Check that every process is still running.

        Raises:
            ServiceFailed: a process has ended.
        """
        for name, child in self.children.items():
            if child.poll() is not None:
                raise ServiceFailed(f"{name} ended with exit code {child.returncode}. {self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """Return the last line of a process's log, and where the whole log is."""
        log = self.log(name)
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return f"Its last line: {lines[-1] if lines else '(none)'} The whole log: {log}"


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are not in use."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def check_port(port: int, service: str) -> None:
    """Check that a port is free.

    Raises:
        ServiceFailed: another program uses it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServiceFailed(
                f"Port {port}, which {service} needs, is in use ({error.strerror}). Another `make dev` or `make up` "
                f"may be running; `lsof -i :{port}` names the program. End it, then try again."
            ) from error

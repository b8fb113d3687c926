"""The platform of `make dev`, as the verbs see it, in a terminal with its variables."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from blocks.settings import PrefectServer, Settings
from blocks.systems import landing_from
from commands.doctor.__main__ import main as doctor
from commands.embedded.only_one import holder
from commands.embedded.processes import pids
from commands.embedded.stack import short
from commands.errors import CommandError
from commands.prefect_api import Prefect
from services.watch.without_docker import LOGS

PYTHON = (sys.executable, "-P", "-s", "-m")
STOP_SECONDS = 60.0
LINES = "200"


class DevPlatform:
    """See `commands.platform.Platform`. `make dev` starts it. All its services run with this terminal's variables.

    Args:
        settings: the settings from the environment.
    """

    blocks = ""
    sql: list[str] = ["blocks.sql"]  # noqa: RUF012 - the protocol's type

    def __init__(self, settings: Settings) -> None:
        self._settings, self._state = settings, settings.alerts_dir.parent
        self._logs = self._state / "logs"

    @property
    def landing(self) -> tuple[str, str]:
        """See `Platform`."""
        landing = landing_from(self._settings)
        return landing.bucket, landing.prefix

    @property
    def prefect(self) -> Prefect:
        """See `Platform`."""
        self.need()
        return Prefect(PrefectServer().api_url)

    @property
    def _process(self) -> int | None:
        """The id of `make dev`'s process, or None if it is not running."""
        return holder(self._state / ".lock")

    def make(self, verb: str) -> str:
        """See `Platform`."""
        return f"make {verb}"

    def need(self, *_: str) -> None:
        """See `Platform`. `make dev` runs all services or none."""
        if not self._process:
            raise CommandError("The platform is not running. Start it in another terminal: make dev")

    def exec(self, _: str, module: str, *arguments: str, terminal: bool = False) -> int:
        """See `Platform`. The module may need no service, since the data is in files."""
        command = [*PYTHON, module, *arguments]
        if terminal:
            os.execv(command[0], command)  # noqa: S606 - Ctrl-C at a prompt must reach the prompt only
        return subprocess.run(command, check=False).returncode  # noqa: S603

    def output(self, _: str, module: str, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """See `Platform`."""
        done = subprocess.run(  # noqa: S603
            [*PYTHON, module, *arguments], stdin=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CommandError(done.stderr.strip() or f"`{module}` failed.")
        return done.stdout.strip()

    def ps(self) -> int:
        """See `Platform`."""
        self.need()
        for name, pid in pids(self._logs).items():
            if _is_running(pid):
                print(f"{name:<10} {pid:>8}  {short(self._log(name))}")
        return 0

    def logs(self, services: list[str]) -> int:
        """See `Platform`."""
        names = [LOGS.get(each, each) for each in services]
        known = sorted(each.stem for each in self._logs.glob("*.log"))
        if unknown := [each for each in names if each not in known]:
            raise CommandError(f"There is no log {', '.join(unknown)}. The logs are: {', '.join(known)}.")
        files = [str(self._log(each)) for each in names or known]
        os.execvp("tail", ["tail", "-n", LINES, "-F", *files])  # noqa: S606, S607

    def stop(self) -> int:
        """See `Platform`. It ends as with Ctrl-C."""
        if pid := self._process:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while self._process == pid:
                if time.monotonic() > deadline:
                    raise CommandError(f"`make dev` (process {pid}) did not end within {STOP_SECONDS:.0f} s.")
                time.sleep(0.2)
        print(f"Stopped. The state stays in {short(self._state)}.")
        return 0

    def describe_data(self) -> str:
        """See `Platform`."""
        return f"This removes everything in {short(self._state)}: `make dev`'s raw rows, tables and Prefect history."

    def remove(self) -> int:
        """See `Platform`."""
        self.stop()
        shutil.rmtree(self._state, ignore_errors=True)
        return 0

    def doctor(self, as_json: bool) -> int:
        """See `Platform`."""
        return doctor(["--profile", "", *(["--json"] if as_json else [])])

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True

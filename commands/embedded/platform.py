"""`Platform` for `make dev`. It needs the variables of data/dev/env."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE
from typing import IO

from blocks.settings import PrefectServer, Settings
from commands.embedded.only_one import LOCK, holder
from commands.embedded.processes import pids
from commands.errors import CommandError
from commands.platform import LOG_LINES
from commands.prefect_api import Prefect
from services.content import short
from services.watch.without_docker import LOGS

PYTHON = (sys.executable, "-P", "-s", "-m")
STOP_SECONDS = 60.0


class DevPlatform:
    """See `commands.platform.Platform`. Modules run as child processes with this terminal's variables.

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
        return self._settings.s3_bucket, self._settings.s3_prefix

    @property
    def prefect(self) -> Prefect:
        """See `Platform`."""
        self.need()
        return Prefect(PrefectServer().api_url)

    @property
    def _process(self) -> int | None:
        """The id of `make dev`'s process, or None if it is not running."""
        return holder(self._state)

    def make(self, verb: str) -> str:
        """See `Platform`."""
        return f"make {verb}"

    def need(self, *_: str) -> None:
        """See `Platform`. `make dev` runs all services or none."""
        if not self._process:
            raise CommandError("The platform is not running. Start it in another terminal: make dev")

    def exec(self, _: str, module: str, /, *arguments: str, prompts: bool = False) -> int:  # noqa: ARG002
        """See `Platform`. `make dev` need not run, because some modules only read files."""
        sys.stdout.flush()
        os.execv(sys.executable, [*PYTHON, module, *arguments])  # noqa: S606

    def output(self, _: str, module: str, /, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """See `Platform`."""
        command = [*PYTHON, module, *arguments]
        with subprocess.Popen(command, stdin=stdin, stdout=PIPE, stderr=PIPE, text=True) as running:  # noqa: S603
            try:
                printed, error = running.communicate()
            except KeyboardInterrupt:
                running.wait()  # it gets Ctrl-C, too, and may have to take an upload back
                raise
        if running.returncode:
            raise CommandError(error.strip() or f"`{module}` failed.")
        return printed.strip()

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
            raise CommandError(f"No log is named {', '.join(unknown)}. Available logs: {', '.join(known)}.")
        files = [str(self._log(each)) for each in names or known]
        os.execvp("tail", ["tail", "-n", LOG_LINES, "-F", *files])  # noqa: S606, S607

    def stop(self) -> int:
        """See `Platform`. `make dev` ends as it does with Ctrl-C."""
        self._end()
        print(f"Stopped. The data is kept in {short(self._state)}.")
        return 0

    def _end(self) -> None:
        if pid := self._process:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while self._process == pid:
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"`make dev` (process {pid}) did not end within {STOP_SECONDS:.0f} s. To end it: kill -9 {pid}"
                    )
                time.sleep(0.2)

    def describe_data(self) -> str:
        """See `Platform`.

        Raises:
            CommandError: see `_check_state`.
        """
        self._check_state()
        return f"This deletes everything in {short(self._state)}: `make dev`'s raw rows, tables and Prefect history."

    def _check_state(self) -> None:
        """Check that the folder to delete is one of `make dev`.

        Raises:
            CommandError: the variables name a folder that `make dev` did not make.
        """
        if self._state.exists() and not (self._state / LOCK).exists():
            raise CommandError(
                f"{short(self._state)} is not a folder of `make dev`, because it has no file {LOCK}. Nothing was "
                "deleted. Run `. data/dev/env` in this terminal first, or delete the folder yourself."
            )

    def remove(self) -> int:
        """See `Platform`.

        Raises:
            CommandError: see `_check_state`; or a file cannot be deleted.
        """
        self._check_state()
        self._end()
        if self._state.exists():
            try:
                shutil.rmtree(self._state)
            except OSError as error:
                raise CommandError(f"{error.filename} was not deleted: {error.strerror}.") from error
        return 0

    def doctor(self, as_json: bool) -> int:
        """See `Platform`."""
        from commands.doctor.__main__ import main  # it imports Prefect, which the other verbs do not need

        return main(["--profile", "", *(["--json"] if as_json else [])])

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True

"""Runs shell commands as a user would type them."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

LIMIT_SECONDS = 560.0
"""Of the longest commands, while other tests run."""


def run(commands: str, folder: Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script to its end.

    Raises:
        subprocess.TimeoutExpired: it took more than LIMIT_SECONDS. Its processes have been killed.
    """
    command, pipe = ["sh", "-euc", commands], subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as shell:
        try:
            out, err = shell.communicate(timeout=LIMIT_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, shell.returncode, out, err)

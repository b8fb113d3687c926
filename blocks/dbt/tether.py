"""Runs a command that ends with the process that started it, however that ends: `python tether.py COMMAND ...`.

Standard input is the tether. When it closes, the command is interrupted, and killed if it does not end within 30 s.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

TIMES, SECONDS = 10, 3


def _follow(command: subprocess.Popen[bytes]) -> None:
    os.read(sys.stdin.fileno(), 1)  # nobody writes: it returns when the other end is closed
    for _ in range(TIMES):  # dbt may begin another query after it has cancelled those at work
        command.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            command.wait(SECONDS)
            return
    command.kill()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell has its background jobs ignore it, and so would the command
    started = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603
    threading.Thread(target=_follow, args=[started], daemon=True).start()
    code = started.wait()
    sys.exit(code if code >= 0 else 128 - code)

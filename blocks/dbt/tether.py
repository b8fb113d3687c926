"""Run a command that ends when its parent process ends, for whatever reason: `python tether.py COMMAND ...`.

The parent holds the other end of standard input. When that closes, the command is interrupted, and killed if it does
not end within 30 s.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

TIMES, SECONDS = 10, 3


def _follow(command: subprocess.Popen[bytes]) -> None:
    os.read(sys.stdin.fileno(), 1)  # nobody writes, so this returns when the other end is closed
    for _ in range(TIMES):  # dbt may start another query after it has cancelled the running ones
        command.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            command.wait(SECONDS)
            return
    command.kill()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # in a shell's background job, SIGINT is ignored, also by the command
    started = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603
    threading.Thread(target=_follow, args=[started], daemon=True).start()
    code = started.wait()
    sys.exit(code if code >= 0 else 128 - code)

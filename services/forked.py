"""Run a flow run in a process forked from a server that has imported Prefect and dbt already.

A new Python process spends several seconds on imports before the first line of a flow. So the worker
(services/process_worker.py) starts `python forked.py SOCKET` instead of `python -m prefect.engine`. This small process
asks the server at the socket to fork, and represents the fork towards the worker: it forwards signals, exits with the
fork's code, and takes the fork with it if it is killed. Without a server it becomes `python -m prefect.engine`.

The server does not import the platform's own code: each run reads the current code in its folder. Linux only, because
macOS's libraries do not survive a fork.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

ENGINE = "prefect.engine"
FORWARDED = (signal.SIGTERM, signal.SIGINT)
STREAMS = (0, 1, 2)


def main(path: str) -> int:
    """Have the server fork a process for the flow run, and return its exit code."""
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(path)
            run = json.dumps({"environment": dict(os.environ), "folder": str(Path.cwd())}).encode()
            socket.send_fds(server, [b"\0"], STREAMS)
            server.sendall(len(run).to_bytes(8, "big") + run)
            answers = server.makefile("rb")
            process = int(answers.readline())
        except (OSError, ValueError):
            os.execv(sys.executable, [sys.executable, "-m", ENGINE])  # noqa: S606 - the same Python
        signals = [signal.SIGKILL]

        def forward(number: int, _: object) -> None:
            signals.append(signal.Signals(number))
            os.kill(process, number)

        for each in FORWARDED:
            signal.signal(each, forward)
        code = answers.readline()
        answers.read()  # until the process is gone
    if not code:  # a signal ended the process: the forwarded one, or SIGKILL
        for each in FORWARDED:
            signal.signal(each, signal.SIG_DFL)
        os.kill(os.getpid(), signals[-1])
    return int(code)


def command(path: str) -> list[str]:
    """Return the command line that starts a run's process."""
    return [sys.executable, "-I", "-S", str(Path(__file__).absolute()), path]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

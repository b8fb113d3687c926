"""Processes of flow runs, forked from one that has imported what they need: Prefect and dbt.

A new Python imports for some seconds before the first line of a flow. The worker (services/process_worker.py) starts
`python forked.py SOCKET` for a run, in the place of `python -m prefect.engine`. This small process asks the server at
the socket for a copy of itself, and stands for that copy towards the worker: it passes on signals, ends as the copy
ends, and takes the copy with it where it is killed. Without a server it becomes `python -m prefect.engine`.

The platform's own code is not imported before: each run reads it as it is in its folder by then. Linux only: macOS's
libraries do not survive a fork.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

ENGINE = "prefect.engine"
PASSED_ON = (signal.SIGTERM, signal.SIGINT)
STREAMS = (0, 1, 2)


def main(path: str) -> int:
    """Run a flow run's process at the server; the exit code is the process's own."""
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(path)
            run = json.dumps({"environment": dict(os.environ), "folder": str(Path.cwd())}).encode()
            socket.send_fds(server, [b"\0"], STREAMS)
            server.sendall(len(run).to_bytes(8, "big") + run)
            answers = server.makefile("rb")
            process = int(answers.readline())
        except (OSError, ValueError):
            os.execv(sys.executable, [sys.executable, "-m", ENGINE])  # noqa: S606 - this very Python
        asked = [signal.SIGKILL]

        def pass_on(number: int, _: object) -> None:
            asked.append(signal.Signals(number))
            os.kill(process, number)

        for each in PASSED_ON:
            signal.signal(each, pass_on)
        ended = answers.readline()
        answers.read()  # until the process is gone
    if not ended:  # by a signal: the one that was passed on, or one that nobody sees coming
        for each in PASSED_ON:
            signal.signal(each, signal.SIG_DFL)
        os.kill(os.getpid(), asked[-1])
    return int(ended)


def command(path: str) -> list[str]:
    """What starts a run's process."""
    return [sys.executable, "-I", "-S", str(Path(__file__).absolute()), path]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

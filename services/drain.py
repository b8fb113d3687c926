"""Drain a worker: `python -m services.drain` in the worker's container waits until the worker's runs have ended.

While this runs, and for HOLD_SECONDS after it, the worker starts no run. It exits with 0 once the worker has no run
left, or with 1 if its standard input closes first.
"""

import select
import sys
import tempfile
import time
from pathlib import Path

REQUEST, RUNS = (Path(tempfile.gettempdir(), f"worker-{name}") for name in ("drain", "runs"))
"""The file that asks the worker to drain, and the file with the number of its runs. The worker uses both at each poll.
"""

HOLD_SECONDS = 30.0
"""How long a request holds. This process renews it, but it may be killed before it can withdraw it."""


def is_requested() -> bool:
    """Return whether somebody is waiting for the worker's runs to end."""
    try:
        return time.time() - REQUEST.stat().st_mtime < HOLD_SECONDS
    except FileNotFoundError:
        return False


def report(runs: int) -> None:
    """Write how many runs the worker has."""
    RUNS.write_text(str(runs))


def main() -> int:
    """Wait until the worker in this container has no run left."""
    REQUEST.touch()
    RUNS.unlink(missing_ok=True)  # its number is from before the request, when the worker could still start runs
    while not (RUNS.exists() and RUNS.read_text() == "0"):
        if select.select([sys.stdin], [], [], 1)[0] and not sys.stdin.buffer.read(1):
            REQUEST.unlink(missing_ok=True)
            return 1
        REQUEST.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Let the runs of a worker end: `python -m services.drain` in the worker's container.

While this runs, and HOLD_SECONDS longer, the worker starts no run. It ends with 0 once the worker has no run left, and
with 1 where its standard input ends first.
"""

import select
import sys
import tempfile
import time
from pathlib import Path

ASKED, RUNS = (Path(tempfile.gettempdir(), f"worker-{name}") for name in ("drain", "runs"))
"""What the worker looks for at each poll, and the number of its runs, which it writes at each poll."""

HOLD_SECONDS = 30.0
"""For how long the worker starts no run after the last question: whoever asks can be killed."""


def is_asked() -> bool:
    """Return whether somebody waits for the end of the worker's runs."""
    try:
        return time.time() - ASKED.stat().st_mtime < HOLD_SECONDS
    except FileNotFoundError:
        return False


def answer(runs: int) -> None:
    """Say how many runs the worker has."""
    RUNS.write_text(str(runs))


def main() -> int:
    """Wait until the worker here has no run left."""
    ASKED.touch()
    RUNS.unlink(missing_ok=True)  # an answer from before the question says nothing
    while not (RUNS.exists() and RUNS.read_text() == "0"):
        if select.select([sys.stdin], [], [], 1)[0] and not sys.stdin.buffer.read(1):
            ASKED.unlink(missing_ok=True)
            return 1
        ASKED.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Ends a process when the one that started it is gone, however it went.

As a program, `python -m services.embedded.lifeline MODULE [ARGUMENT ...]`, it runs a module that knows nothing of this.
"""

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable


def follow_parent(on_line: Callable[[str], object] = bool) -> None:
    """End this process and what it started when its standard input closes: the parent holds the other end.

    The process must lead its process group.

    Args:
        on_line: called, in a thread of its own, with each line that the parent sends.
    """
    threading.Thread(target=_follow, args=[on_line], name="lifeline", daemon=True).start()


def _follow(on_line: Callable[[str], object]) -> None:
    for line in sys.stdin:
        on_line(line.strip())
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    follow_parent()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

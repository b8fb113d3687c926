"""Ends a process when its parent ends, in whatever way.

As a program, `python -m commands.embedded.lifeline MODULE [ARGUMENT ...]` runs a module that does not do this itself.
"""

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable


def follow_parent(on_line: Callable[[str], object] = bool) -> None:
    """End this process and its descendants when its standard input closes. The parent holds the other end of the pipe.

    The process must lead its process group.

    Args:
        on_line: called, in a separate thread, with each line that the parent sends.
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

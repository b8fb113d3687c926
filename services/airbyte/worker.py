"""`python -m services.airbyte.worker`: one attempt in a process of its own, started by the engine.

A process, because a conversion may take all the cores and memory it is given and may be killed at any moment, while
the API keeps answering.
"""

import os
import sys
import threading
from typing import BinaryIO

from services.airbyte import loader
from services.airbyte.protocol import Done, Message, SyncTask, encode

NICENESS = 5  # the API answers first


def main() -> None:
    task = SyncTask.from_line(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_with_the_engine, args=(sys.stdin.buffer,), daemon=True).start()
    os.nice(NICENESS)
    lock = threading.Lock()

    def emit(message: Message) -> None:
        with lock:
            sys.stdout.buffer.write(encode(message))
            sys.stdout.buffer.flush()

    loader.run(task, emit)
    emit(Done())


def _exit_with_the_engine(stdin: BinaryIO) -> None:
    stdin.read()  # returns when the engine closes the pipe or dies
    os._exit(3)


if __name__ == "__main__":
    main()

"""`python -m services.airbyte.worker`: a process that runs attempts, one after the other, as the engine asks.

A process, because a conversion may take all the cores and memory it is given and may be killed at any moment, while
the API keeps answering.
"""

import os
import sys
import threading
from queue import SimpleQueue

from services.airbyte import loader, objects
from services.airbyte.protocol import Done, Message, SyncTask, encode

NICENESS = 5  # the API answers first


def main() -> None:
    """Run the tasks that come in on stdin until it is closed."""
    os.nice(NICENESS)
    tasks: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    lock = threading.Lock()

    def emit(message: Message) -> None:
        with lock:
            sys.stdout.buffer.write(encode(message))
            sys.stdout.buffer.flush()

    objects.warm_up()
    while True:
        loader.run(SyncTask.from_line(tasks.get()), emit)
        emit(Done())


def _listen(tasks: "SimpleQueue[bytes]") -> None:
    for line in sys.stdin.buffer:
        tasks.put(line)
    os._exit(3)  # the engine closed the pipe or died


if __name__ == "__main__":
    main()

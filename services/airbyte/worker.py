"""A worker process that runs the engine's tasks one after the other: `python -m services.airbyte.worker`.

It is a separate process so that the API keeps answering while a conversion uses all its cores and memory, or is killed.
"""

import os
import sys
import threading
from queue import SimpleQueue

from services.airbyte import loader, objects
from services.airbyte.protocol import Done, Message, SyncTask, encode

NICENESS = 5  # lower priority than the API


def main() -> None:
    """Run the tasks that arrive on stdin until it is closed."""
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

"""What a worker process does.

It is a separate process so that the API keeps answering while a conversion uses all its cores and memory, or is killed.
"""

import os
import socket
import threading

from services.airbyte.protocol import Done, Message, SyncTask, encode

NICENESS = 5  # lower priority than the API


def main(engine: socket.socket, stderr: str) -> None:
    """Run the one task that the engine sends, and send it what is done. End when the engine does.

    Args:
        engine: the connection to the engine: a line with the task one way, lines with messages the other way.
        stderr: the file that gets what the process writes to its stderr.
    """
    from services.airbyte.load import loader  # the fork server has imported it; the mock's own process does not need it

    os.nice(NICENESS)
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_APPEND), 2)
    lines, lock = engine.makefile("rwb"), threading.Lock()
    if not (line := lines.readline()):
        return

    def leave_with_the_engine() -> None:
        lines.read(1)
        os._exit(3)

    def emit(message: Message) -> None:
        with lock:
            lines.write(encode(message))
            lines.flush()

    threading.Thread(target=leave_with_the_engine, daemon=True).start()
    loader.run(SyncTask.from_line(line), emit)
    emit(Done())

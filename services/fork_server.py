"""Fork processes for flow runs: `python -m services.fork_server SOCKET`. services/forked.py connects to it.

It ends when its standard input closes, which happens when the worker that started it ends.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from services.forked import ENGINE, STREAMS

PRELOADED = ("prefect.flow_engine", "prefect.runner", "dbt.cli.main", "dbt.adapters.duckdb", "boto3")
"""Modules that take long to import and that nobody edits."""
MACROS = ("dbt.include.global_project", "dbt.include.duckdb")
"""Packages whose macros every dbt command would otherwise compile again."""
REQUEST_SECONDS = 10.0


class ExitReport:
    """Sends the exit code of a forked process to its client, after all other exit handlers."""

    client: socket.socket | None = None
    code = 0

    def send(self) -> None:
        """Send the exit code."""
        if self.client:
            with suppress(OSError):
                self.client.sendall(b"%d\n" % self.code)


def main(path: Path) -> None:
    """Import, then fork for each client. In the fork, execute the flow run and exit with its code."""
    report = ExitReport()
    atexit.register(report.send)  # registered first, because exit handlers run in reverse order
    for name in PRELOADED:
        importlib.import_module(name)
    compile_macros()
    gc.collect()
    gc.freeze()  # otherwise the garbage collector of each fork would write to the memory that it shares with the others
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # this process does not wait for its forks
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(str(path))
        listener.listen()
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in selector.select()):
            client, _ = listener.accept()
            client.settimeout(REQUEST_SECONDS)
            try:
                run, streams = _read(client)
            except (OSError, ValueError):
                client.close()
                continue
            if not os.fork():
                listener.close()
                selector.close()
                break
            client.close()
            for each in streams:
                os.close(each)
        else:
            return
    report.client = client
    report.code = 1
    _become_run(run, streams, client)
    report.code = _engine()
    sys.exit(report.code)


def compile_macros() -> None:
    """Compile the macros of dbt and its adapter into dbt's cache, which uses the macros' texts as keys."""
    from dbt_common.clients._jinja_blocks import BlockTag
    from dbt_common.clients.jinja import extract_toplevel_blocks, template_cache

    for name in MACROS:
        folder = Path(str(importlib.import_module(name).__file__)).parent
        for file in sorted(folder.rglob("*.sql")):
            text = file.read_text(encoding="utf-8").strip()  # dbt strips the text, too
            for block in extract_toplevel_blocks(text, {"macro", "materialization", "test", "data_test"}, False):
                if isinstance(block, BlockTag):
                    template_cache.get_node_template(SimpleNamespace(name=block.block_name, macro_sql=block.full_block))


def _read(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    _, streams, _, _ = socket.recv_fds(client, 1, len(STREAMS))
    with client.makefile("rb") as sent:
        run: dict[str, Any] = json.loads(sent.read(int.from_bytes(sent.read(8), "big")))
    return run, streams


def _become_run(run: dict[str, Any], streams: list[int], client: socket.socket) -> None:
    """Take over the environment, folder and standard streams of the client process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, each in zip(STREAMS, streams, strict=True):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(run["environment"])
    time.tzset()
    os.chdir(run["folder"])
    if not sys.flags.safe_path:
        del sys.path[0]
    sys.path.insert(0, run["folder"])  # `python -m` does the same
    sys.argv = [ENGINE]
    client.settimeout(None)
    client.sendall(b"%d\n" % os.getpid())
    threading.Thread(target=_end_with, args=(client,), daemon=True).start()


def _engine() -> int:
    """Run Prefect's engine, which executes the flow run named in the environment, and return its exit code."""
    from prefect.context import refresh_global_settings_context

    try:
        refresh_global_settings_context()
        sys.modules.pop(ENGINE, None)  # otherwise Python warns that it is imported twice
        runpy.run_module(ENGINE, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - Python itself does the same at exit
        traceback.print_exc()
        return 1
    return 0


def _end_with(client: socket.socket) -> None:
    """End this process when its client process ends."""
    client.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

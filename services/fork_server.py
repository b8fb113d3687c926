"""`python -m services.fork_server SOCKET`: the server that services/forked.py asks for the processes of flow runs.

It ends when its standard input closes, as it does when the worker that started it ends.
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

IMPORTED = ("prefect.flow_engine", "prefect.runner", "dbt.cli.main", "dbt.adapters.duckdb", "boto3")
"""What a run imports for long, and nobody edits."""
MACROS = ("dbt.include.global_project", "dbt.include.duckdb")
"""The packages whose macros every dbt command compiles anew."""
ASKING_SECONDS = 10.0


class Ending:
    """What a copy answers at its end, after all else that Python does then."""

    asking: socket.socket | None = None
    code = 0

    def answer(self) -> None:
        """Tell the exit code to the process that stands for this one."""
        if self.asking:
            with suppress(OSError):
                self.asking.sendall(b"%d\n" % self.code)


def main(path: Path) -> None:
    """Import, then fork for whoever asks; in a copy, run the flow run and leave with its exit code."""
    ending = Ending()
    atexit.register(ending.answer)  # before the packages', since the last one is called first
    for name in IMPORTED:
        importlib.import_module(name)
    compile_macros()
    gc.collect()
    gc.freeze()  # else the collector of each copy would write into what it shares with the others
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the copies here
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(str(path))
        listener.listen()
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in selector.select()):
            asking, _ = listener.accept()
            asking.settimeout(ASKING_SECONDS)
            try:
                run, streams = _read(asking)
            except (OSError, ValueError):
                asking.close()
                continue
            if not os.fork():
                listener.close()
                selector.close()
                break
            asking.close()
            for each in streams:
                os.close(each)
        else:
            return
    ending.asking = asking
    ending.code = 1
    _take_place(run, streams, asking)
    ending.code = _engine()
    sys.exit(ending.code)


def compile_macros() -> None:
    """Compile the macros of dbt and of its adapter into dbt's own cache, whose keys are the macros' texts."""
    from dbt_common.clients._jinja_blocks import BlockTag
    from dbt_common.clients.jinja import extract_toplevel_blocks, template_cache

    for name in MACROS:
        folder = Path(str(importlib.import_module(name).__file__)).parent
        for file in sorted(folder.rglob("*.sql")):
            text = file.read_text(encoding="utf-8").strip()  # as dbt does
            for block in extract_toplevel_blocks(text, {"macro", "materialization", "test", "data_test"}, False):
                if isinstance(block, BlockTag):
                    template_cache.get_node_template(SimpleNamespace(name=block.block_name, macro_sql=block.full_block))


def _read(asking: socket.socket) -> tuple[dict[str, Any], list[int]]:
    _, streams, _, _ = socket.recv_fds(asking, 1, len(STREAMS))
    with asking.makefile("rb") as sent:
        run: dict[str, Any] = json.loads(sent.read(int.from_bytes(sent.read(8), "big")))
    return run, streams


def _take_place(run: dict[str, Any], streams: list[int], asking: socket.socket) -> None:
    """Take the environment, folder and output of the process that asks."""
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
    sys.path.insert(0, run["folder"])  # as `python -m` does
    sys.argv = [ENGINE]
    asking.settimeout(None)
    asking.sendall(b"%d\n" % os.getpid())
    threading.Thread(target=_end_with, args=(asking,), daemon=True).start()


def _engine() -> int:
    """Run Prefect's engine, which runs the flow run of the environment; its exit code."""
    from prefect.context import refresh_global_settings_context

    try:
        refresh_global_settings_context()
        sys.modules.pop(ENGINE, None)  # else Python warns that it is imported twice
        runpy.run_module(ENGINE, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself does at its end
        traceback.print_exc()
        return 1
    return 0


def _end_with(asking: socket.socket) -> None:
    """End this process when the one that stands for it is gone."""
    asking.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The order of work. The code that talks to other systems is in `blocks`."""

import logging
from functools import partial

import prefect.main  # noqa: F401 - sets up logging
from prefect.logging.handlers import PrefectConsoleHandler


def _print_as_long_as_someone_reads() -> None:
    """Let runs continue after the reader of their output has gone, as in `python flows/full_pipeline.py 2>&1 | head`.

    By default, rich's console raises SystemExit in the thread that logs (`rich.console.Console.on_broken_pipe`). dbt
    waits for its threads forever if one of them ends like that, and the run would hold the warehouse as long.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler):
            handler.console.on_broken_pipe = partial(setattr, handler.console, "quiet", True)  # type: ignore[method-assign]


_print_as_long_as_someone_reads()

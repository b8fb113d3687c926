"""The order of work. The code that talks to other systems is in `blocks`."""

import logging
import sys

import prefect.main  # noqa: F401 - sets up logging
from prefect.logging.handlers import PrefectConsoleHandler

import blocks  # noqa: F401 - sets up output


def _log_to_lasting_output() -> None:
    """Have Prefect log to the stream that outlasts its reader, as in `python flows/full_pipeline.py 2>&1 | head`.

    Prefect may have been imported before that stream was set up. On the other one, its console would raise SystemExit
    in the thread that logs (`rich.console.Console.on_broken_pipe`). dbt waits for its threads forever if one of them
    ends like that, and the run would hold the warehouse as long.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler) and handler.console.file is sys.__stderr__:
            handler.console.file = sys.stderr


_log_to_lasting_output()

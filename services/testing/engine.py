"""Checks whether containers can be started on this machine."""

from commands.compose.command_line import check_engine
from commands.errors import CommandError


def engine_problem() -> str | None:
    """Return why the platform's containers cannot be started on this machine, or None if they can."""
    try:
        check_engine()
    except CommandError as error:
        return str(error)
    return None

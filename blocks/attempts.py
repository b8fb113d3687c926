"""Retries of runs whose process or worker died, and the state messages that identify such runs."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

NO_SIGN = "No sign of life for"
"""Start of the message with which the server's automation crashes a run whose process has died."""
KILLED = (-9, -11, -6, -7)
"""Exit codes of a process that was killed, e.g. for lack of memory, or that crashed. SIGTERM cancels a run instead."""
DIED = (NO_SIGN, *(f"Process exited with status code: {code}." for code in KILLED))
"""Starts of the messages with which the automation, or a live worker, crashes a run whose process has died."""
ATTEMPTS = 3
"""Maximum number of starts of a run whose process or worker dies each time."""
RETRIED = "Its process or worker died; it runs again."
"""Message of the state in which a run waits for its next attempt."""
RESCHEDULE_TIME = timedelta(seconds=60)
"""Time within which the server reschedules a crashed run."""


def may_be_retried(state_type: str, message: str | None, since: datetime, now: datetime) -> bool:
    """Return whether the server may still retry a run that crashed at `since`; `now` is the server's clock."""
    return state_type == "CRASHED" and (message or "").startswith(DIED) and now - since < RESCHEDULE_TIME


def attempts(run: "FlowRun", states: "Iterable[State[Any]]") -> int:
    """Return how often a run was started, or accepted by a worker that ended before it started.

    Args:
        run: the run.
        states: all states of the run so far.
    """
    return max(run.run_count, sum(each.message == RETRIED for each in states) + 1)

"""Retries of runs whose process or worker died, and the state messages that identify such runs."""

from datetime import datetime, timedelta

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

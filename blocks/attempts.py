"""How often a run is tried whose process or worker died, and by which message each step of that is known."""

from datetime import datetime, timedelta

NO_SIGN = "No sign of life for"
"""How the message begins with which the server's automation crashes a run whose process has died."""
KILLED = (-9, -11, -6, -7)
"""Exit codes of a process that was killed, as for want of memory, or that broke down: not by SIGTERM, which cancels."""
DIED = (NO_SIGN, *(f"Process exited with status code: {code}." for code in KILLED))
"""How the messages begin with which the automation, or a live worker, crashes a run whose process has died."""
ATTEMPTS = 3
"""How often a run is started at most, where its process or its worker dies each time."""
RETRIED = "Its process or worker died; it runs again."
"""The message of the state in which a run waits for its next attempt."""
PUT_BACK = timedelta(seconds=60)
"""How long the server may take from there until it has put the run back, for another attempt of the same run."""


def may_come_back(state_type: str, message: str | None, since: datetime, now: datetime) -> bool:
    """Whether a run that was found dead at a time may yet be retried, by the server's clock."""
    return state_type == "CRASHED" and (message or "").startswith(DIED) and now - since < PUT_BACK

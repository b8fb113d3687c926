"""Whether containers can be started here."""

from services.compose.engine import check_engine
from services.compose.profile import ComposeError


def engine_problem() -> str | None:
    """Why the platform's containers cannot be started here; None where they can."""
    try:
        check_engine()
    except ComposeError as error:
        return str(error)
    return None

"""What a scenario is, and the list of all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.scenarios.disturb import Disturbance
    from services.scenarios.stage import Stage

Play = Callable[["Stage"], None]


@dataclass(frozen=True)
class Scenario:
    """One way in which such a platform fails.

    Args:
        name: as `make scenario NAME=…` takes it.
        fails: what fails, in a line.
        does: what the platform does, in a line.
        incident: address of the public report that it is modelled on.
        report: what was reported there, in a few words.
        play: makes it happen, and asserts the outcome.
        alert: kind of the alert that comes, as docs/alerts.md lists them; empty for none.
        soak: what a soak does of it; None for nothing.
    """

    name: str
    fails: str
    does: str
    incident: str
    report: str
    play: Play
    alert: str = ""
    soak: "Disturbance | None" = None


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    fails: str, does: str, incident: str, report: str, alert: str = "", soak: "Disturbance | None" = None
) -> Callable[[Play], Play]:
    """Put a function into the list as a scenario; its name is the function's."""

    def listed(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        SCENARIOS[name] = Scenario(name, fails, does, incident, report, play, alert, soak)
        return play

    return listed

"""The definition of a scenario, and the catalog of all scenarios."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commands.scenarios.disturb import Disturbance
    from commands.scenarios.stage import Stage

Play = Callable[["Stage"], None]


@dataclass(frozen=True)
class Scenario:
    """One failure of a data platform.

    Args:
        name: name for `make scenario NAME=…`.
        fails: what fails, in one line.
        does: what the platform does, in one line.
        incident: address of the public report that the scenario is modelled on.
        report: what was reported there, in a few words.
        play: function that causes the failure and checks the outcome.
        alert: kind of the alert that it raises, from docs/alerts.md, or "" for none.
        soak: what a soak does for this scenario, or None to leave it out.
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
    """Add a function to the catalog as a scenario. Its name comes from the function's."""

    def register(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        SCENARIOS[name] = Scenario(name, fails, does, incident, report, play, alert, soak)
        return play

    return register

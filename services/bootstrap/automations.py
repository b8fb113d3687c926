"""What the Prefect server does by itself with this platform's runs: it finds those that died and retries them.

Every trigger matches the tag of the platform's deployments, so runs of other deployments on the server are left alone.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState

from blocks.attempts import ATTEMPTS, NO_SIGN, RETRIED
from blocks.names import Names

SILENT = "Crash silent flow runs"
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}
PUT_BACK = {f"prefect.flow-run.{state}" for state in ("Scheduled", "AwaitingRetry", "AwaitingConcurrencySlot")}
STANDING = {f"prefect.flow-run.{state}" for state in ("Paused", "Suspended")}
INTERVAL = timedelta(seconds=30)
"""How often a run of a deployment says that it is alive; each deployment's job variables tell it to."""

FREQUENCY = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
BEATS = 3
"""A run is dead once it has missed this many heartbeats."""

START = timedelta(seconds=180)
"""How long a worker may take from a run's acceptance to its first line; more than a container's start."""

UNSTARTED_PERIOD = timedelta(days=30)
"""A run that never started is retried once in this time: its run count cannot limit the attempts, it stays at 0."""


def longest(environments: Iterable[Mapping[str, Any]]) -> timedelta:
    """Return the longest time between two heartbeats of runs that have these variables."""
    said = [str(each.get(FREQUENCY) or "") for each in environments]
    return timedelta(seconds=max([int(each) for each in said if each.isdigit()], default=INTERVAL.seconds))


def automations(names: Names, interval: timedelta = INTERVAL) -> tuple[AutomationCore, ...]:
    """Return the automations for the runs of a platform's deployments.

    Args:
        names: give the tag of the deployments, which their runs carry, and the automations' names.
        interval: the longest time between two heartbeats of such a run.
    """
    silence, tag = max(BEATS * interval, timedelta(seconds=90)), names.tag
    return (
        _crash(
            names.title(SILENT),
            "Crashes a run of the platform that sends no heartbeat, or no more: its process has died.",
            tag,
            # A process may die before its first heartbeat, too.
            after={HEARTBEAT, "prefect.flow-run.Running"},
            expect={HEARTBEAT, *ENDS, *PUT_BACK, *STANDING},
            within=silence,
        ),
        _crash(
            names.title("Crash flow runs that never start"),
            "Crashes a run of the platform that stays pending: its worker has died before the run started.",
            tag,
            after={"prefect.flow-run.Pending"},
            expect={HEARTBEAT, "prefect.flow-run.Running", *ENDS, *PUT_BACK, *STANDING},
            within=START,
        ),
        _again(
            names.title("Run silent flow runs again"),
            f"Retries a run of the platform whose process died, up to {ATTEMPTS} attempts.",
            tag,
            [str(count) for count in range(1, ATTEMPTS)],
        ),
        _again(
            names.title("Run unstarted flow runs again"),
            "Retries a run of the platform whose worker died before the run started, once.",
            tag,
            ["0"],
            UNSTARTED_PERIOD,
        ),
    )


def _crash(
    name: str, description: str, tag: str, after: set[str], expect: set[str], within: timedelta
) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            after=after,
            expect=expect,
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            match_related=_tagged(tag),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"{NO_SIGN} {within.total_seconds():.0f} s: the run's process has died.",
            )
        ],
    )


def _again(
    name: str, description: str, tag: str, counts: list[str], within: timedelta = timedelta(0)
) -> AutomationCore:
    """At most one retry of a run within a time; without one, a retry for each crash."""
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            expect={"prefect.flow-run.Crashed"},
            match={
                "prefect.resource.id": ["prefect.flow-run.*"],
                "prefect.state-message": [f"{NO_SIGN}*"],
                "prefect.run-count": counts,
            },
            # A subflow run belongs to no deployment: its parent runs it again.
            match_related=[{"prefect.resource.role": "deployment"}, _tagged(tag)],
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=within,
        ),
        actions=[ChangeFlowRunState(state=StateType.SCHEDULED, name="AwaitingRetry", message=RETRIED)],
    )


def _tagged(tag: str) -> dict[str, Any]:
    return {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"}


def values(automation: AutomationCore) -> dict[str, Any]:
    """Return what an automation does, as the server takes it; whether it is enabled is for people to say."""
    dumped = automation.model_dump(mode="json", include={"name", "description", "trigger", "actions"})
    for name in ("after", "expect", "for_each"):
        dumped["trigger"][name] = sorted(dumped["trigger"][name])
    return dumped

"""Automations with which the Prefect server finds dead runs of the platform and retries them.

Every trigger matches the tag of the platform's deployments, so other deployments' runs on the server are not affected.
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
RESCHEDULED = {f"prefect.flow-run.{state}" for state in ("Scheduled", "AwaitingRetry", "AwaitingConcurrencySlot")}
PAUSED = {f"prefect.flow-run.{state}" for state in ("Paused", "Suspended")}
INTERVAL = timedelta(seconds=30)
"""How often a run sends a heartbeat. Each deployment's job variables set it."""

FREQUENCY = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
BEATS = 3
"""A run is dead once it has missed this many heartbeats."""

START = timedelta(seconds=180)
"""How long a run may stay pending, from a worker's acceptance to its start. It must exceed a container's start time."""

UNSTARTED_PERIOD = timedelta(days=30)
"""A run that never started is retried at most once in this period. Its run count stays 0, so it cannot be the limit."""


def longest(environments: Iterable[Mapping[str, Any]]) -> timedelta:
    """Return the longest heartbeat interval in these environments."""
    intervals = [str(each.get(FREQUENCY) or "") for each in environments]
    return timedelta(seconds=max([int(each) for each in intervals if each.isdigit()], default=INTERVAL.seconds))


def automations(names: Names, interval: timedelta = INTERVAL) -> tuple[AutomationCore, ...]:
    """Return the automations for the runs of a platform's deployments.

    Args:
        names: has the tag of the platform's runs, and the automations' names.
        interval: the longest time between two heartbeats of such a run.
    """
    silence, tag = max(BEATS * interval, timedelta(seconds=90)), names.tag
    return (
        _crash(
            names.title(SILENT),
            "Crashes a run of the platform that has stopped sending heartbeats, because its process has died.",
            tag,
            # A process may also die before its first heartbeat.
            after={HEARTBEAT, "prefect.flow-run.Running"},
            expect={HEARTBEAT, *ENDS, *RESCHEDULED, *PAUSED},
            within=silence,
        ),
        _crash(
            names.title("Crash flow runs that never start"),
            "Crashes a run of the platform that stays pending, because its worker died before the run started.",
            tag,
            after={"prefect.flow-run.Pending"},
            expect={HEARTBEAT, "prefect.flow-run.Running", *ENDS, *RESCHEDULED, *PAUSED},
            within=START,
        ),
        _retry(
            names.title("Run silent flow runs again"),
            f"Retries a run of the platform whose process died, until {ATTEMPTS} attempts are used.",
            tag,
            [str(count) for count in range(1, ATTEMPTS)],
        ),
        _retry(
            names.title("Run unstarted flow runs again"),
            "Retries a run of the platform once if its worker died before the run started.",
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


def _retry(
    name: str, description: str, tag: str, counts: list[str], within: timedelta = timedelta(0)
) -> AutomationCore:
    """Return an automation that retries a run at most once per `within`, or after each crash if that is 0."""
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
            # A subflow run has no deployment. Its parent runs it again.
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
    """Return an automation in the server's format, without `enabled`, which people set."""
    dumped = automation.model_dump(mode="json", include={"name", "description", "trigger", "actions"})
    for name in ("after", "expect", "for_each"):
        dumped["trigger"][name] = sorted(dumped["trigger"][name])
    return dumped

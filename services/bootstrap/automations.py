"""What the Prefect server does by itself: runs whose process or worker died are found, and run again."""

from datetime import timedelta

from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState

from blocks.runs import NO_SIGN

HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}
PUT_BACK = {f"prefect.flow-run.{state}" for state in ("Scheduled", "AwaitingRetry", "AwaitingConcurrencySlot")}
SILENCE = timedelta(seconds=90)
"""Three heartbeats, as PREFECT_FLOWS_HEARTBEAT_FREQUENCY sets them in docker-compose.yml."""

START = timedelta(seconds=180)
"""How long a worker may take from a run's acceptance to its first line; more than a container's start."""

ATTEMPTS = 3


def _silent(name: str, description: str, after: set[str], expect: set[str], within: timedelta) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            after=after,
            expect=expect,
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message=f"{NO_SIGN} {within.seconds} s: the run's process has died."
            )
        ],
    )


SILENT_RUNS = _silent(
    "Crash silent flow runs",
    "A run whose process has died sends no heartbeat any more; without this it would be running for ever.",
    after={HEARTBEAT, "prefect.flow-run.Running"},
    expect={HEARTBEAT, *ENDS, *PUT_BACK},
    within=SILENCE,
)

UNSTARTED_RUNS = _silent(
    "Crash flow runs that never start",
    "A run whose worker has died before its start; without this it would be pending for ever.",
    after={"prefect.flow-run.Pending"},
    expect={HEARTBEAT, "prefect.flow-run.Running", *ENDS, *PUT_BACK},
    within=START,
)

RUN_AGAIN = AutomationCore(
    name="Run silent flow runs again",
    description=f"What crashed by the death of its process or worker is put back, for {ATTEMPTS} attempts in all.",
    trigger=EventTrigger(
        expect={"prefect.flow-run.Crashed"},
        match={
            "prefect.resource.id": ["prefect.flow-run.*"],
            "prefect.state-message": [f"{NO_SIGN}*"],
            "prefect.run-count": [str(count) for count in range(ATTEMPTS)],
        },
        # A subflow has none: it runs again with its parent.
        match_related={"prefect.resource.role": "deployment"},
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    ),
    actions=[
        ChangeFlowRunState(
            state=StateType.SCHEDULED, name="AwaitingRetry", message="Its process or worker died; it runs again."
        )
    ],
)

AUTOMATIONS = (SILENT_RUNS, UNSTARTED_RUNS, RUN_AGAIN)


def save_automations(client: SyncPrefectClient) -> None:
    """Create the automations, or bring them up to date."""
    for automation in AUTOMATIONS:
        saved = client.read_automations_by_name(automation.name)
        for each in saved:
            client.update_automation(each.id, automation)
        if not saved:
            client.create_automation(automation)

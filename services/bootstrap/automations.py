"""What the Prefect server does by itself."""

from datetime import timedelta

from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState

HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = ("Completed", "Failed", "Cancelled", "Crashed")
SILENCE = timedelta(seconds=90)
"""Three heartbeats, as PREFECT_FLOWS_HEARTBEAT_FREQUENCY sets them in docker-compose.yml."""

SILENT_RUNS = AutomationCore(
    name="Crash silent flow runs",
    description="A run whose process has died sends no heartbeat any more; without this it would be running for ever.",
    trigger=EventTrigger(
        after={HEARTBEAT, "prefect.flow-run.Running"},
        expect={HEARTBEAT, *(f"prefect.flow-run.{end}" for end in ENDS)},
        match={"prefect.resource.id": ["prefect.flow-run.*"]},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=SILENCE,
    ),
    actions=[
        ChangeFlowRunState(
            state=StateType.CRASHED, message=f"No sign of life for {SILENCE.seconds} s: the run's process has died."
        )
    ],
)


def save_automations(client: SyncPrefectClient) -> None:
    """Create the automations, or bring them up to date."""
    saved = client.read_automations_by_name(SILENT_RUNS.name)
    for each in saved:
        client.update_automation(each.id, SILENT_RUNS)
    if not saved:
        client.create_automation(SILENT_RUNS)

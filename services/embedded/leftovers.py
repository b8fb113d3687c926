"""Flow runs whose process ended with the last `make dev`: nothing runs before its worker starts, so none is at work."""

from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import AwaitingRetry, Cancelled, Crashed

from blocks.runs import ATTEMPTS, RETRIED, attempts

AT_WORK = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
DIED = "Its process ended with the platform."


def settle(client: SyncPrefectClient) -> int:
    """Retry the runs that were at work, up to ATTEMPTS attempts, and end the others; return how many there were.

    Left running, two of them would keep the sensor from starting a run for ever.
    """
    at_work = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=AT_WORK)))
    runs = client.read_flow_runs(flow_run_filter=at_work)
    for run in runs:
        client.set_flow_run_state(run.id, _following(client, run), force=True)
    return len(runs)


def _following(client: SyncPrefectClient, run: FlowRun) -> State[Any]:
    if run.state_type is StateType.CANCELLING:
        return Cancelled(message=DIED)
    # A subflow run belongs to no deployment: its parent runs it again.
    if run.deployment_id and attempts(run, client.read_flow_run_states(run.id)) < ATTEMPTS:
        return AwaitingRetry(scheduled_time=datetime.now(UTC), message=RETRIED)
    return Crashed(message=DIED)

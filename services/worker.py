"""The worker of a pool: `python -m services.worker --pool local`, with any option of `prefect worker start`.

It is the pool's only one. So whatever runs when it starts is what its predecessor was doing when it was killed, and
that is run again: Prefect by itself would take it to be running for ever.
"""

import argparse
import runpy
import sys
from datetime import UTC, datetime
from typing import Any

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import AwaitingRetry, Cancelled, Crashed

UNFINISHED = FlowRunFilterState(
    type=FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
)
WORKER_DIED = "The worker ended while this was running"


def put_back(client: SyncPrefectClient, pool: str) -> list[FlowRun]:
    """Have the pool's unfinished runs run again, or be cancelled where that had been asked for; return them."""
    pools = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    runs = client.read_flow_runs(work_pool_filter=pools, flow_run_filter=FlowRunFilter(state=UNFINISHED))
    for run in runs:
        _end_subflows(client, run)
        client.set_flow_run_state(run.id, _next_state(run), force=True)
    return runs


def _next_state(run: FlowRun) -> State[Any]:
    if run.state_type == StateType.CANCELLING:
        return Cancelled()
    return AwaitingRetry(scheduled_time=datetime.now(UTC), message=f"{WORKER_DIED}; it runs again.")


def _end_subflows(client: SyncPrefectClient, parent: FlowRun) -> None:
    below = FlowRunFilter(state=UNFINISHED, parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent.id]))
    for run in client.read_flow_runs(flow_run_filter=below):
        client.set_flow_run_state(run.id, Crashed(message=f"{WORKER_DIED}."), force=True)


def main() -> None:
    """Put back what was left, then be Prefect's worker."""
    parser = argparse.ArgumentParser(prog="python -m services.worker", description=__doc__)
    parser.add_argument("--pool", required=True, help="the work pool")
    options, others = parser.parse_known_args()
    with get_client(sync_client=True) as client:
        for run in put_back(client, options.pool):
            print(f"{run.name} was {run.state_name} when the worker ended", flush=True)
    sys.argv = ["prefect", "worker", "start", "--pool", options.pool, *others]
    runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    main()

"""Start a worker of a pool: `python -m services.worker --pool local`, with any option of `prefect worker start`.

A worker that starts while no other worker of its pool is alive retries the pool's unfinished runs. A killed worker left
them, and Prefect would show them as running forever. While another worker is alive, unfinished runs may be its own. So
they are left to the automations of services/bootstrap/automations.py, which retry a run once its heartbeats stop.
"""

import argparse
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock, Timeout
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, Worker, WorkerStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled, Crashed

from blocks import connections
from blocks.attempts import ATTEMPTS, RETRIED, attempts
from blocks.names import PREFECT_YAML
from blocks.settings import Settings
from services import forked, process_worker

LIMIT = 4
"""Concurrent runs. Each takes up to 0.6 GB while dbt works, and the worker's container has 3 GB."""

UNFINISHED = FlowRunFilterState(
    type=FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
)
WORKER_DIED = "The worker ended while this was running"
PAGE = 200
_held: list[FileLock] = []
"""Locks that the operating system releases when this process ends, even if it is killed."""


def retry_unfinished(client: SyncPrefectClient, pool: str, name: str, tag: str = PREFECT_YAML) -> list[FlowRun]:
    """Retry the platform's unfinished runs of a pool, cancel those that were being cancelled, and return them all.

    Do nothing while a worker other than `name` is alive in the pool. A run that has used all its attempts crashes.
    """
    if _others(client, pool, name):
        return []
    runs = list(_unfinished(client, pool, tag))
    for run in runs:
        _end_subflows(client, run)
        client.set_flow_run_state(run.id, _next_state(client, run), force=True)
    return runs


def _others(client: SyncPrefectClient, pool: str, name: str) -> list[str]:
    """Return the names of the pool's other workers that are online."""
    workers: list[Worker] = []
    try:
        while page := client.read_workers_for_work_pool(pool, offset=len(workers), limit=PAGE):
            workers += page
    except ObjectNotFound:
        return []
    return [each.name for each in workers if each.name != name and each.status == WorkerStatus.ONLINE]


def _unfinished(client: SyncPrefectClient, pool: str, tag: str) -> Iterator[FlowRun]:
    pools = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[tag]))
    yield from _all(
        client, work_pool_filter=pools, deployment_filter=ours, flow_run_filter=FlowRunFilter(state=UNFINISHED)
    )


def _all(client: SyncPrefectClient, **filters: Any) -> list[FlowRun]:
    runs: list[FlowRun] = []
    while page := client.read_flow_runs(**filters, offset=len(runs), limit=PAGE):
        runs += page
    return runs


def _next_state(client: SyncPrefectClient, run: FlowRun) -> State[Any]:
    if run.state_type == StateType.CANCELLING:
        return Cancelled()
    if (count := attempts(run, client.read_flow_run_states(run.id))) >= ATTEMPTS:
        return Crashed(message=f"{WORKER_DIED}, in attempt {count} of {ATTEMPTS}. Check its log, then run it again.")
    return AwaitingRetry(scheduled_time=datetime.now(UTC), message=RETRIED)


def _end_subflows(client: SyncPrefectClient, parent: FlowRun) -> None:
    below = FlowRunFilter(state=UNFINISHED, parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent.id]))
    for run in _all(client, flow_run_filter=below):
        client.set_flow_run_state(run.id, Crashed(message=f"{WORKER_DIED}."), force=True)


def numbered(name: str, folder: Path) -> str:
    """Return a name with the first number that no other process using the folder holds, and hold it until exit.

    A worker in a new container thus gets its predecessor's name, and each of several workers gets its own.
    """
    for number in count(1):
        lock = FileLock(folder / f".{name}-{number}.lock", thread_local=False)
        with suppress(Timeout):
            lock.acquire(timeout=0)
            _held.append(lock)
            return f"{name}-{number}"
    raise AssertionError("there is no last number")


@contextmanager
def fork_server() -> Iterator[None]:
    """Start the server that forks the processes of runs. It ends with the block or with this process."""
    if sys.platform != "linux":
        yield
        return
    with TemporaryDirectory(prefix="runs-") as folder:
        path = str(Path(folder) / "forks")
        process_worker.Job.engine = forked.command(path)
        with subprocess.Popen([sys.executable, "-m", "services.fork_server", path], stdin=subprocess.PIPE):  # noqa: S603
            yield


def main() -> None:
    """Retry the runs that a killed worker left, then start a worker."""
    parser = argparse.ArgumentParser(prog="python -m services.worker", description=__doc__)
    parser.add_argument("--pool", required=True, help="name of the work pool in prefect.yaml")
    parser.add_argument("--profile", default="", help="profile, which may add a namespace to the pool's name")
    parser.add_argument("--name", default=f"worker-{socket.gethostname()}", help="name of this worker in its pool")
    parser.add_argument("--numbered", help="use this name with the first number that no running worker here has")
    parser.add_argument(
        "--can-drain", action="store_true", help="allow draining (services/drain.py); needs its own /tmp"
    )
    parser.add_argument("--limit", default="", help=f"maximum concurrent runs (default: {LIMIT})")
    options, others = parser.parse_known_args()
    names = connections.names(options.profile or None)
    if options.numbered:
        options.name = numbered(options.numbered, Settings().warehouse_path.parent)
    pool, process_worker.Job.names = names.name(options.pool), names
    process_worker.Worker.can_drain = options.can_drain
    with get_client(sync_client=True) as client:
        for run in retry_unfinished(client, pool, options.name, names.tag):
            print(f"{run.name} was {run.state_name} when the worker ended", flush=True)
    named = ["--pool", pool, "--name", options.name, "--limit", options.limit or str(LIMIT)]
    sys.argv = ["prefect", "worker", "start", *named, *others]
    with fork_server():
        runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    main()

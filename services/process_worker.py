"""Prefect's process worker, with the changes that the platform's runs need.

Prefect's own worker fails with "already holding" if it gets a run again while the run still holds a slot of `--limit`.
It leaves a run crashed after its process was killed, and it cannot be drained.
"""

import sys
import warnings
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import httpx
from anyio.abc import TaskStatus
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.events.schemas.automations import EventTrigger
from prefect.exceptions import PrefectException
from prefect.states import AwaitingRetry
from prefect.utilities.processutils import command_to_string
from prefect.workers.base import BaseWorkerResult
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from blocks.attempts import ATTEMPTS, KILLED, RETRIED, attempts
from blocks.names import Names
from services import drain
from services.bootstrap.automations import BEATS, FREQUENCY, SILENT
from services.forked import ENGINE


class Job(ProcessJobConfiguration):
    """How a run's process starts: without a helper process, and with heartbeats as the server's automation expects.

    Without a command, Prefect first starts another Python process. That one imports Prefect to find the flow's code and
    to check its packages (`prefect.runner._workspace_supervisor`), which takes one or two seconds.
    """

    names: ClassVar[Names] = Names()
    engine: ClassVar[list[str]] = [sys.executable, "-m", ENGINE]
    """The command line of a run's process."""

    @classmethod
    async def resolve_for_flow_run(cls, flow_run: FlowRun, *, client: PrefectClient, **others: Any) -> Self:
        """Read the run's job variables, and limit its heartbeat interval to what the automation allows."""
        job = await super().resolve_for_flow_run(flow_run, client=client, **others)
        if cls.names.tag not in flow_run.tags:
            return job
        if longest := await cls._longest_interval(client):
            interval = job.env.get(FREQUENCY) or ""
            if not interval.isdigit() or int(interval) > longest:
                job.env[FREQUENCY] = str(longest)
        return job

    def prepare_for_flow_run(self, flow_run: FlowRun, *others: Any, **more: Any) -> None:
        """Give the platform's runs a command. Without one, Prefect starts another Python process first."""
        if self.names.tag in flow_run.tags:
            self.command = self.command or command_to_string(self.engine)
        super().prepare_for_flow_run(flow_run, *others, **more)

    @classmethod
    async def _longest_interval(cls, client: PrefectClient) -> int:
        """Return the longest allowed time between two heartbeats, in seconds; 0 if no automation checks them."""
        for each in await client.read_automations_by_name(cls.names.title(SILENT)):
            if isinstance(each.trigger, EventTrigger):
                return int(each.trigger.within.total_seconds()) // BEATS
        return 0


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Prefect warns that this class replaces its own process worker, as intended

    class Worker(ProcessWorker):
        """Executes flow runs in processes, up to `--limit` at once."""

        type = "process"
        job_configuration = Job
        can_drain: ClassVar[bool] = False
        """Whether the worker can be drained (services/drain.py). It needs its own /tmp for that."""

        def _running(self) -> set[Any]:
            """Return the runs that hold a slot, because their process has not ended."""
            return set(self._limiter.statistics().borrowers) if self._limiter else set()

        async def get_and_submit_flow_runs(self) -> list[FlowRun]:
            """Look for runs and start them. Report the number of runs for draining."""
            if self.can_drain:
                drain.report(len(self._running()))
            return await super().get_and_submit_flow_runs()

        async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
            """Start runs, except those whose last process still runs, even if the server thinks that it is dead."""
            if self.can_drain and drain.is_requested():
                return []
            running = self._running()
            startable = [each for each in flow_run_response if each.flow_run.id not in running]
            return await super()._submit_scheduled_flow_runs(startable)

        async def _submit_run_and_capture_errors(
            self, flow_run: FlowRun, task_status: TaskStatus[int | Exception] | None = None
        ) -> BaseWorkerResult | Exception:
            """Run a process to its end. If it was killed, retry the run once its slot is free."""
            result = await super()._submit_run_and_capture_errors(flow_run, task_status)
            if isinstance(result, BaseWorkerResult) and result.status_code in KILLED:
                try:
                    await self._retry(flow_run)
                except (httpx.HTTPError, PrefectException) as error:
                    self._logger.warning("%s was killed and could not be retried: %s", flow_run.name, error)
            return result

        async def _retry(self, flow_run: FlowRun) -> None:
            run = await self.client.read_flow_run(flow_run.id)
            if Job.names.tag not in run.tags or not run.state or not run.state.is_crashed():
                return
            if attempts(run, await self.client.read_flow_run_states(run.id)) < ATTEMPTS:
                again: State[Any] = AwaitingRetry(scheduled_time=datetime.now(UTC), message=RETRIED)
                await self.client.set_flow_run_state(run.id, again, force=True)

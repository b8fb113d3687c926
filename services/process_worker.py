"""Prefect's worker of processes, with what runs of the platform need of it.

Prefect's own ends with "already holding" where a run is handed out again while it still holds a slot of `--limit` for
it, leaves a run crashed whose process was killed, and cannot be asked to let its runs end.
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

from blocks.attempts import ATTEMPTS, KILLED, RETRIED
from blocks.names import Names
from blocks.runs import attempts
from services import drain
from services.bootstrap.automations import BEATS, FREQUENCY, SILENT
from services.forked import ENGINE


class Job(ProcessJobConfiguration):
    """How a run's process is started: at once, and with heartbeats as often as the server's automation expects.

    Without a command, Prefect first starts another Python, which imports Prefect to look where the flow's code is and
    whether its packages must be installed (`prefect.runner._workspace_supervisor`); that takes a second or two.
    """

    names: ClassVar[Names] = Names()
    engine: ClassVar[list[str]] = [sys.executable, "-m", ENGINE]
    """The command of a run's process."""

    @classmethod
    async def resolve_for_flow_run(cls, flow_run: FlowRun, *, client: PrefectClient, **others: Any) -> Self:
        """Read the run's job variables; its heartbeats are at most as far apart as the automation allows."""
        job = await super().resolve_for_flow_run(flow_run, client=client, **others)
        if cls.names.tag not in flow_run.tags:
            return job
        if longest := await cls._longest(client):
            own = job.env.get(FREQUENCY) or ""
            if not own.isdigit() or int(own) > longest:
                job.env[FREQUENCY] = str(longest)
        return job

    def prepare_for_flow_run(self, flow_run: FlowRun, *others: Any, **more: Any) -> None:
        """Give the platform's runs a command, without which Prefect starts another Python first."""
        if self.names.tag in flow_run.tags:
            self.command = self.command or command_to_string(self.engine)
        super().prepare_for_flow_run(flow_run, *others, **more)

    @classmethod
    async def _longest(cls, client: PrefectClient) -> int:
        """Return the longest time between two heartbeats, in seconds; 0 where no automation looks for them."""
        for each in await client.read_automations_by_name(cls.names.title(SILENT)):
            if isinstance(each.trigger, EventTrigger):
                return int(each.trigger.within.total_seconds()) // BEATS
        return 0


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it takes the place of Prefect's own for pools of processes, which is meant

    class Worker(ProcessWorker):
        """Runs flows in processes, up to `--limit` at once."""

        type = "process"
        job_configuration = Job
        can_drain: ClassVar[bool] = False
        """Whether it looks for somebody who waits for the end of its runs, which needs a /tmp of its own."""

        def _held(self) -> set[Any]:
            """The runs that have a slot: those whose process has not ended."""
            return set(self._limiter.statistics().borrowers) if self._limiter else set()

        async def get_and_submit_flow_runs(self) -> list[FlowRun]:
            """Look for runs and start them; say how many there are to whoever waits for their end."""
            if self.can_drain:
                drain.answer(len(self._held()))
            return await super().get_and_submit_flow_runs()

        async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
            """Start runs, but none whose former process has not ended: the server may believe it dead."""
            if self.can_drain and drain.is_asked():
                return []
            held = self._held()
            free = [each for each in flow_run_response if each.flow_run.id not in held]
            return await super()._submit_scheduled_flow_runs(free)

        async def _submit_run_and_capture_errors(
            self, flow_run: FlowRun, task_status: TaskStatus[int | Exception] | None = None
        ) -> BaseWorkerResult | Exception:
            """Run a process to its end; once its slot is free, retry the run where the process was killed."""
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

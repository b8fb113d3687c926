"""Starts one run of a deployment on Prefect's server for each batch, and reports how the runs ended."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from typing import Any
from urllib.parse import unquote
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import ArtifactSort
from prefect.events import Event
from prefect.logging import get_logger
from prefect.states import Scheduled

from blocks.attempts import may_be_retried
from blocks.batches import PUBLISHED, Batch, Failed, FilesMissing, Outcome
from blocks.errors import counted, shown
from blocks.landing import CURSORS, LandedFile
from blocks.names import Names
from blocks.prefect_client import PrefectRefuses, PrefectUnavailable, client
from blocks.settings import make

QUEUED = [StateType.SCHEDULED, StateType.PENDING]
UNDER_WAY = [*QUEUED, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
MOST_UNDER_WAY = 2
"""One run works while the next one gets ready. More would not help, since the warehouse has one writer."""
HELD = "Held"
"""Name of the state in which a run waits until the cursor names it. Until then, no worker starts it."""
EVENTS_A_CALL = 200
MOST_REASON = 500
"""Maximum characters of a batch's reason in the artifact."""
DATE_LAG = timedelta(seconds=2)
"""Maximum delay of a Date header: it has whole seconds, and Prefect's uvicorn renews it once a second."""
MOST_NAMES = 400
"""Maximum characters for the names of a batch's other files in the artifact, which has many batches."""
SLUG = 100
"""Maximum characters of a cursor's URL in the name of its artifact."""


class DeploymentUnknown(PrefectUnavailable):
    """Prefect's server does not know the deployment."""


class DeploymentRuns:
    """The runs of one deployment with a profile's blocks.

    Args:
        deployment: its name in prefect.yaml, as `flow/deployment`.
        profile: name of the saved blocks; None uses the environment.
        names: the platform's names, which distinguish its runs and artifacts on a shared server.

    Raises:
        PrefectUnavailable, DeploymentUnknown: from every method.
    """

    _unannounced: UUID | None = None

    def __init__(self, deployment: str, profile: str | None, names: Names | None = None) -> None:
        self.names, self.profile = names or Names(), profile
        self.deployment = self.names.deployment(deployment)
        self.flow, _, self.name = self.deployment.partition("/")

    def is_busy(self) -> bool:
        """Return whether a run waits to start, or MOST_UNDER_WAY runs are under way.

        Runs of all deployments of the flow count if they sync the same connection, but not runs scheduled for later.
        On a shared server, the deployment must also have the same work pool or the platform's tag.
        """
        count = 0
        with client() as server:
            deployments = list(server.deployments(self.flow))
            own = self._named(deployments)
            parameters = {**own.parameters, "profile": self.profile}
            chosen = [each.id for each in deployments if self._is_ours(each, own.work_pool_name)]
            for run in server.runs(_under_way(chosen, server.now)):
                if not _held(run) and _same_connection(run.parameters, parameters):
                    count += 1
                    if run.state_type in QUEUED or count >= MOST_UNDER_WAY:
                        return True
        return False

    def start(self, batch: Batch) -> str:
        """Create the batch's run and return its id. Repeated calls return the same run.

        The run stays held until `outcomes` is called with its id, so it starts only if the cursor names it. If a sensor
        is suspended before this call and another sensor takes over, the batch does not run twice.
        """
        with client() as server:
            run = server.client.create_flow_run_from_deployment(
                self._named(server.deployments(self.flow, self.name)).id,
                parameters={"files": [file.model_dump(mode="json") for file in batch.files], "profile": self.profile},
                idempotency_key=self.key(batch),
                name=run_name(batch),
                state=State(type=StateType.PAUSED, name=HELD, message="It starts once the sensor's cursor names it."),
            )
        return str(run.id)

    def _is_ours(self, deployment: DeploymentResponse, pool: str | None) -> bool:
        return not self.names.namespace or self.names.tag in deployment.tags or deployment.work_pool_name == pool

    def _named(self, deployments: Iterable[DeploymentResponse]) -> DeploymentResponse:
        for deployment in deployments:
            if deployment.name == self.name:
                return deployment
        raise DeploymentUnknown(
            f"Prefect's server has no deployment {self.deployment}. Name one as flow/deployment: `prefect deployment "
            "ls` lists them, and `prefect deploy --all` registers those in prefect.yaml."
        )

    def outcomes(self, run_ids: Iterable[str]) -> dict[str, Outcome]:
        """Return how the runs ended that have ended, and start those that are still held.

        A deleted run counts as failed.
        """
        wanted = [UUID(each) for each in run_ids]
        with client() as server:
            found = {run.id: run for run in server.runs(FlowRunFilter(id=FlowRunFilterId(any_=wanted)))}
            for run in filter(_held, found.values()):
                server.client.set_flow_run_state(run.id, Scheduled(), force=True)
            ended = {str(each): _outcome(found.get(each), server.now) for each in wanted}
        return {run_id: outcome for run_id, outcome in ended.items() if outcome}

    def discard(self, run_id: str) -> None:
        """Delete a run that no cursor names, if it is still held."""
        with client() as server:
            for run in filter(_held, server.runs(FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run_id)])))):
                server.client.delete_flow_run(run.id)

    def key(self, batch: Batch) -> str:
        """Return the idempotency key of a batch's run. It is unique across all deployments of a flow."""
        return self.names.name(batch.idempotency_key)

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        """Emit an event `s3.object.arrived` for each file.

        The event's id follows from the file's version, so sending it again does not create a second event. Events do
        not delay a batch: if Prefect rejects them, or fails twice in a row, a warning is logged.

        Raises:
            PrefectUnavailable: this batch's events failed for the first time.
        """
        events = [_event(bucket, file) for file in files]
        first = events[0].id
        try:
            with client() as server:
                for start in range(0, len(events), EVENTS_A_CALL):
                    page = events[start : start + EVENTS_A_CALL]
                    server.client.request("POST", "/events", json=[event.model_dump(mode="json") for event in page])
        except PrefectUnavailable as error:
            if not isinstance(error, PrefectRefuses) and self._unannounced != first:
                self._unannounced = first
                raise
            get_logger("sensor").warning("The events of %d files were not all sent. %s", len(events), error)

    def show_failed(self, place: str, failed: list[Failed]) -> None:
        """Write a cursor's failed batches to its artifact, `parked-batches-…`."""
        key, rows = self.names.artifact(parked_key(place)), json.dumps(list(map(_row, failed)))
        chosen = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        with client() as server:
            old = server.client.read_artifacts(artifact_filter=chosen, sort=ArtifactSort.ID_DESC, limit=1)
            # The client's own methods would also send an event, in a thread.
            if old:
                change = ArtifactUpdate(data=rows).model_dump(mode="json", exclude_unset=True)
                server.client.request("PATCH", "/artifacts/{id}", path_params={"id": old[0].id}, json=change)
                return
            new = ArtifactCreate(
                key=key,
                type="table",
                description=f"The batches of {place} whose last run failed. A batch with a date in `again` is retried "
                "then. The others are parked: fix the cause, then type "
                f"`{make('cursor')} ARGS='release BATCH'` or, if there is nothing left to load, `forget BATCH`. "
                f"`{make('status')}` counts them all.",
                data=rows,
            )
            server.client.request("POST", "/artifacts/", json=new.model_dump(mode="json", exclude_unset=True))


def run_name(batch: Batch) -> str:
    """Return the name of a batch's run."""
    attempt = f", attempt {batch.attempt}" if batch.attempt > 1 else ""
    return f"{counted(len(batch.files), 'file')} from {shown(batch.files[0].key)}{attempt}"


def _event(bucket: str, file: LandedFile) -> Event:
    named = file.model_dump(mode="json")
    place = f"s3://{bucket}/{file.key}"
    return Event(
        id=uuid5(NAMESPACE_URL, f"{place}#{file.etag}#{file.date}"),
        occurred=datetime.now(UTC),
        event="s3.object.arrived",
        resource={"prefect.resource.id": shown(place), "prefect.resource.name": shown(file.key)},
        payload={"bucket": bucket, **{name: named[name] for name in ("key", "size", "etag")}},
    )


def _row(failed: Failed) -> dict[str, str | int]:
    files = [each.key for each in failed.batch.files]
    others = [shown(each) for each in files[1:MOST_NAMES]]
    ends = accumulate(len(each) + 1 for each in others)
    return {
        "batch": failed.batch.id,
        "files": len(files),
        "first": shown(files[0]),
        "others": "\n".join(name for name, end in zip(others, ends, strict=True) if end <= MOST_NAMES),
        "named": int(any(each in failed.reason for each in files)),
        "again": failed.retry_at.isoformat() if failed.retry_at else "",
        "attempts": failed.batch.attempt - 1,
        "reason": shown(failed.reason[:MOST_REASON]),
    }


def _held(run: FlowRun) -> bool:
    return run.state_type == StateType.PAUSED and run.state_name == HELD


def _outcome(run: FlowRun | None, now: datetime) -> Outcome | None:
    """Return how a run ended; None if it has not. `now` is the server's clock."""
    if run is None:
        return Outcome(well=False, again=True, reason="Its run no longer exists on Prefect's server")
    if (
        run.state is None
        or not run.state.is_final()
        or may_be_retried(run.state.type.value, run.state.message, run.state.timestamp, now)
    ):
        return None
    reason = f"{run.state.name}: {run.state.message or ''}"

    def is_for(*names: str) -> bool:
        # The server keeps only the name and text of an exception.
        return any(f" {name}: " in reason for name in names)

    well = run.state.is_completed() or is_for(*PUBLISHED)
    again = not run.state.is_cancelled() and not is_for(FilesMissing.__name__)
    return Outcome(well=well, again=again, reason=reason)


def parked_key(place: str) -> str:
    """Return a readable and unique key for the artifact with a cursor's failed batches."""
    name = re.sub("[^a-z0-9]+", "-", unquote(place).replace(CURSORS, "").removesuffix(".json").lower())
    legible = name.removeprefix("s3")[:SLUG].rstrip("-")
    return f"parked-batches{legible}-{sha256(place.encode()).hexdigest()[:6]}"


def _under_way(deployments: list[UUID], now: datetime) -> FlowRunFilter:
    """Select the deployments' runs that are under way. A run without a deployment is in nobody's queue."""
    return FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=deployments),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY)),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=now + DATE_LAG),
    )


def _same_connection(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two runs' parameters name a common connection. A profile's default may be any connection."""
    ids = [set(each.get("connection_ids") or []) for each in (one, other)]
    return one.get("profile") == other.get("profile") and (not all(ids) or not ids[0].isdisjoint(ids[1]))

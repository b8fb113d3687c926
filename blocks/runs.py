"""A deployment's runs on Prefect's server: asked for once a batch, counted, and followed to their end."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events import Event
from prefect.exceptions import ObjectNotFound

from blocks.batches import Batch, Failed, Outcome
from blocks.errors import PlatformError
from blocks.landing import LandedFile

QUEUED = [StateType.SCHEDULED, StateType.PENDING]
UNDER_WAY = [*QUEUED, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
MOST_UNDER_WAY = 2
"""One that runs, and one that gets ready meanwhile; the warehouse has one writer anyway."""


class PrefectUnavailable(PlatformError):
    """Prefect's server does not answer, or does not know the deployment."""


class PrefectRuns:
    """Flow runs as Prefect's server knows them, wherever they run.

    Raises:
        PrefectUnavailable: by every method.
    """

    def outcomes(self, run_ids: Iterable[str]) -> dict[str, Outcome]:
        """How those of the runs ended that have ended. A run that was deleted counts as failed."""
        wanted = [UUID(each) for each in run_ids]
        with _client() as client:
            runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=wanted)))
        found = {run.id: run for run in runs}
        ended = {str(each): _outcome(found.get(each)) for each in wanted}
        return {run_id: outcome for run_id, outcome in ended.items() if outcome}

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        """Emit an event `s3.object.arrived` for each file.

        Its id is made from the version, so that an event which is sent again is the same event.
        """
        events = [
            Event(
                id=uuid5(NAMESPACE_URL, f"s3://{bucket}/{file.key}#{file.etag}#{file.last_modified}"),
                occurred=datetime.now(UTC),
                event="s3.object.arrived",
                resource={"prefect.resource.id": f"s3://{bucket}/{file.key}", "prefect.resource.name": file.key},
                payload={"bucket": bucket, "key": file.key, "size": file.size, "etag": file.etag},
            )
            for file in files
        ]
        with _client() as client:
            client.request("POST", "/events", json=[event.model_dump(mode="json") for event in events])

    def show_parked(self, parked: list[Failed]) -> None:
        """Put the batches that wait for a person into the artifact `parked-batches`."""
        rows = [
            {
                "batch": each.batch.id,
                "files": len(each.batch.files),
                "first": each.batch.files[0].key,
                "attempts": each.batch.attempt - 1,
                "reason": each.reason,
            }
            for each in parked
        ]
        artifact = ArtifactCreate(
            key="parked-batches",
            type="table",
            description="Their runs failed for good. Mend the cause, then `make cursor ARGS='release BATCH'`.",
            data=json.dumps(rows),
        )
        with _client() as client:
            client.create_artifact(artifact)


class DeploymentRuns(PrefectRuns):
    """The runs of one deployment, named as `flow/deployment`, with the blocks of a profile.

    Raises:
        PrefectUnavailable: by every method.
    """

    def __init__(self, deployment: str, profile: str | None) -> None:
        self.deployment, self.profile = deployment, profile

    def busy(self) -> bool:
        """Whether a run waits for its start, or as many as are useful are under way; plans for later do not count."""
        with _client() as client:
            identity = self._identity(client)
            counts = [_count(client, identity, states) for states in (QUEUED, UNDER_WAY)]
        return counts[0] > 0 or counts[1] >= MOST_UNDER_WAY

    def start(self, batch: Batch) -> str:
        """Ask for the batch's run, which however often it is asked for is one; its id."""
        with _client() as client:
            run = client.create_flow_run_from_deployment(
                self._identity(client),
                parameters={"files": [file.model_dump(mode="json") for file in batch.files], "profile": self.profile},
                idempotency_key=batch.idempotency_key,
                name=run_name(batch),
            )
        return str(run.id)

    def _identity(self, client: SyncPrefectClient) -> UUID:
        try:
            return client.read_deployment_by_name(self.deployment).id
        except (ObjectNotFound, ValueError) as error:
            raise PrefectUnavailable(
                f"Prefect knows no deployment {self.deployment}. Name one as flow/deployment; `prefect deployment ls` "
                "lists them, and `prefect deploy --all` registers those of prefect.yaml."
            ) from error


def run_name(batch: Batch) -> str:
    """What the run of a batch is called on its page."""
    attempt = f", attempt {batch.attempt}" if batch.attempt > 1 else ""
    return f"{len(batch.files)} files from {batch.files[0].key}{attempt}"


def _outcome(run: FlowRun | None) -> Outcome | None:
    if run is None:
        return Outcome(well=False, again=True, reason="Prefect no longer knows its run")
    if run.state is None or not run.state.is_final():
        return None
    reason = f"{run.state.name}: {run.state.message or ''}"
    return Outcome(well=run.state.is_completed(), again=not run.state.is_cancelled(), reason=reason)


def _count(client: SyncPrefectClient, deployment: UUID, states: list[StateType]) -> int:
    chosen = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states)),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )
    return client.count_flow_runs(flow_run_filter=chosen)


@contextmanager
def _client() -> Iterator[SyncPrefectClient]:
    with _errors(), get_client(sync_client=True) as client:
        yield client


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, RuntimeError) as error:
        raise PrefectUnavailable(
            f"Prefect's server cannot be used: {error}. Check PREFECT_API_URL; `make dev` starts a server of its own."
        ) from error

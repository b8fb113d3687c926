"""A deployment's runs on Prefect's server: asked for once a batch, counted, and followed to their end."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import unquote
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events import Event

from blocks.batches import PUBLISHED, Batch, Failed, FilesMissing, Outcome
from blocks.errors import PlatformError
from blocks.landing import CURSORS, LandedFile

QUEUED = [StateType.SCHEDULED, StateType.PENDING]
UNDER_WAY = [*QUEUED, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
MOST_UNDER_WAY = 2
"""One that runs, and one that gets ready meanwhile; the warehouse has one writer anyway."""
NO_SIGN = "No sign of life for"
"""How the message begins with which the server's automation crashes a run whose process has died."""
PUT_BACK = timedelta(seconds=60)
"""How long the server may take from there until it has put the run back, for another attempt of the same run."""


class PrefectUnavailable(PlatformError):
    """Prefect's server does not answer, or refuses."""


class DeploymentUnknown(PrefectUnavailable):
    """Prefect's server does not know the deployment."""


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

    def asked_for(self, batch: Batch) -> str:
        """The id of the run that a deployment's sensor has asked for; empty where none has."""
        wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[batch.idempotency_key]))
        with _client() as client:
            runs = client.read_flow_runs(flow_run_filter=wanted, limit=1)
        return str(runs[0].id) if runs else ""

    def announce(self, bucket: str, files: Iterable[LandedFile]) -> None:
        """Emit an event `s3.object.arrived` for each file.

        Its id is made from the version, so that an event which is sent again is the same event.
        """
        events = [
            Event(
                id=uuid5(NAMESPACE_URL, f"s3://{bucket}/{file.key}#{file.etag}#{file.date}"),
                occurred=datetime.now(UTC),
                event="s3.object.arrived",
                resource={"prefect.resource.id": f"s3://{bucket}/{file.key}", "prefect.resource.name": file.key},
                payload={"bucket": bucket, "key": file.key, "size": file.size, "etag": file.etag},
            )
            for file in files
        ]
        with _client() as client:
            client.request("POST", "/events", json=[event.model_dump(mode="json") for event in events])

    def show_parked(self, place: str, parked: list[Failed]) -> None:
        """Put the batches of a cursor that wait for a person into its artifact, `parked-batches-…`."""
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
            key=parked_key(place),
            type="table",
            description=f"Batches of {place} whose runs failed for good. Mend the cause, then `make cursor "
            "ARGS='release BATCH'` or, where there is nothing left to load, `forget BATCH`.",
            data=json.dumps(rows),
        )
        with _client() as client:
            client.create_artifact(artifact)


class DeploymentRuns(PrefectRuns):
    """The runs of one deployment, named as `flow/deployment`, with the blocks of a profile.

    Raises:
        PrefectUnavailable, DeploymentUnknown: by every method.
    """

    here = False

    def __init__(self, deployment: str, profile: str | None) -> None:
        self.deployment, self.profile = deployment, profile

    def busy(self) -> bool:
        """Whether a run waits for its start, or as many as are useful are under way; plans for later do not count.

        What counts are the runs of all deployments of the flow that take the same connection as this one.
        """
        with _client() as client:
            deployment, identities = self._deployments(client)
            runs = client.read_flow_runs(flow_run_filter=_under_way(identities))
        ours = {**deployment.parameters, "profile": self.profile}
        states = [run.state_type for run in runs if _same_connection(run.parameters, ours)]
        return len(states) >= MOST_UNDER_WAY or any(state in QUEUED for state in states)

    def start(self, batch: Batch) -> str:
        """Ask for the batch's run, which however often it is asked for is one; its id."""
        with _client() as client:
            run = client.create_flow_run_from_deployment(
                self._deployments(client)[0].id,
                parameters={"files": [file.model_dump(mode="json") for file in batch.files], "profile": self.profile},
                idempotency_key=batch.idempotency_key,
                name=run_name(batch),
            )
        return str(run.id)

    def _deployments(self, client: SyncPrefectClient) -> tuple[DeploymentResponse, list[UUID]]:
        """This one, and the ids of all of its flow."""
        flow, _, name = self.deployment.partition("/")
        found = client.read_deployments(flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])))
        for deployment in found:
            if deployment.name == name:
                return deployment, [each.id for each in found]
        raise DeploymentUnknown(
            f"Prefect knows no deployment {self.deployment}. Name one as flow/deployment; `prefect deployment ls` "
            "lists them, and `prefect deploy --all` registers those of prefect.yaml."
        )


def run_name(batch: Batch) -> str:
    """What the run of a batch is called on its page."""
    attempt = f", attempt {batch.attempt}" if batch.attempt > 1 else ""
    return f"{len(batch.files)} files from {batch.files[0].key}{attempt}"


def _outcome(run: FlowRun | None) -> Outcome | None:
    if run is None:
        return Outcome(well=False, again=True, reason="Prefect no longer knows its run")
    if run.state is None or not run.state.is_final() or _may_come_back(run.state):
        return None
    reason = f"{run.state.name}: {run.state.message or ''}"

    def is_for(*names: str) -> bool:
        # Of an exception, the server keeps no more than its name and text.
        return any(f" {name}: " in reason for name in names)

    well = run.state.is_completed() or is_for(*PUBLISHED)
    again = not run.state.is_cancelled() and not is_for(FilesMissing.__name__)
    return Outcome(well=well, again=again, reason=reason)


def _may_come_back(state: State[Any]) -> bool:
    """Whether the server, which has just found that the run's process died, may yet put the run back."""
    found_dead = state.is_crashed() and (state.message or "").startswith(NO_SIGN)
    return found_dead and datetime.now(UTC) - state.timestamp < PUT_BACK


def parked_key(place: str) -> str:
    """The key of the artifact with a cursor's parked batches: legible, and another for each cursor."""
    name = re.sub("[^a-z0-9]+", "-", unquote(place).replace(CURSORS, "").removesuffix(".json").lower())
    return f"parked-batches{name.removeprefix('s3').rstrip('-')}-{sha256(place.encode()).hexdigest()[:6]}"


def _under_way(deployments: list[UUID]) -> FlowRunFilter:
    """Runs of deployments; one without, in a process of somebody's, is queued nowhere."""
    return FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=deployments),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY)),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )


def _same_connection(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs' parameters mean the same connection; the profile's own may be any that the other one names."""
    ids = [set(each.get("connection_ids") or []) for each in (one, other)]
    return one.get("profile") == other.get("profile") and (not all(ids) or not ids[0].isdisjoint(ids[1]))


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

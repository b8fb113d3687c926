"""The deployments of prefect.yaml, registered with a profile, and only those.

Prefect's own `deploy --all` cannot give them all a parameter, and never removes one.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Schedule
from pydantic import BaseModel, ConfigDict

PROJECT = Path(__file__).parents[2]
OURS = "prefect.yaml"
"""The tag by which a deployment that came from prefect.yaml is told from one that a person made."""

HEARTBEAT = timedelta(seconds=30)
"""How often a run of a deployment says that it is alive, see automations.py."""
JOB_VARIABLES = {"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT.seconds)}}


class WorkPool(BaseModel):
    """The pool whose worker runs a deployment."""

    name: str


class Declared(BaseModel):
    """One deployment as prefect.yaml writes it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    entrypoint: str
    work_pool: WorkPool
    description: str = ""
    tags: list[str] = []
    parameters: dict[str, Any] = {}
    schedules: list[Schedule] = []
    concurrency_limit: ConcurrencyLimitConfig | None = None


def declared(file: Path = PROJECT / OURS) -> list[Declared]:
    """The deployments of prefect.yaml.

    Raises:
        pydantic.ValidationError: an entry has a key that is not understood here, or lacks one.
    """
    return [Declared.model_validate(each) for each in yaml.safe_load(file.read_text())["deployments"]]


def register(deployment: Declared, profile: str) -> str:
    """Create or update a deployment that runs the code of this folder with a profile; return `flow/deployment`."""
    flow = cast("Flow[..., Any]", Flow.from_source(source=str(PROJECT), entrypoint=deployment.entrypoint))
    made = cast(
        "RunnerDeployment",
        flow.to_deployment(
            deployment.name,
            description=deployment.description,
            tags=[*deployment.tags, OURS],
            parameters={**deployment.parameters, "profile": profile},
            schedules=deployment.schedules,
            concurrency_limit=deployment.concurrency_limit,
            work_pool_name=deployment.work_pool.name,
            job_variables=JOB_VARIABLES,
        ),
    )
    made.apply(work_pool_name=deployment.work_pool.name)
    return made.full_name


def ours(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """The server's deployments that came from prefect.yaml, among however many of other people's."""
    return client.read_deployments(deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[OURS])))


def remove_others(client: SyncPrefectClient, deployments: Iterable[Declared]) -> list[str]:
    """Delete the deployments that came from prefect.yaml once and are no longer in it; return their names."""
    kept = {each.name for each in deployments}
    gone = [each for each in ours(client) if each.name not in kept]
    for each in gone:
        client.delete_deployment(each.id)
    return [each.name for each in gone]

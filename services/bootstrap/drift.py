"""What bootstrap would change on a Prefect server; nothing is changed here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from blocks.connections import Connection, described
from blocks.settings import Settings
from flows.dbt_transform import WAREHOUSE_SLOT
from services.bootstrap.deployments import OURS, Declared, ours


@dataclass(frozen=True)
class Change:
    """One thing that is not as it will be: where, and what; a secret's value is never in it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def blocks(profile: str, settings: Settings) -> Iterator[Change]:
    """How the saved blocks of a profile differ from what the environment says."""
    for wanted in described(settings):
        where = f"block {wanted.get_block_type_slug()}/{profile}"
        try:
            saved = type(wanted).load(profile)
        except (ValueError, ObjectNotFound):
            yield Change(where, "is not there")
        except RuntimeError:
            yield Change(where, "does not fit its type any more")
        else:
            yield from (Change(where, what) for what in _fields(saved, wanted))


def _fields(saved: Any, wanted: Connection) -> Iterator[str]:
    for name in type(wanted).model_fields.keys() - Block.model_fields.keys():
        old, new = getattr(saved, name), getattr(wanted, name)
        if old != new:
            hidden = hasattr(new, "get_secret_value")
            yield f"{name.rstrip('_')} differs" if hidden else f"{name.rstrip('_')}: {str(old)!r} -> {str(new)!r}"


def deployments(client: SyncPrefectClient, profile: str, declared: list[Declared]) -> Iterator[Change]:
    """How the server's deployments differ from prefect.yaml's."""
    there = {each.name: each for each in ours(client)}
    for wanted in declared:
        where = f"deployment {wanted.name}"
        if wanted.name not in there:
            yield Change(where, "is not there")
            continue
        old, new = _registered(there[wanted.name]), _declared(wanted, profile)
        yield from (Change(where, f"{name}: {old[name]!r} -> {new[name]!r}") for name in new if old[name] != new[name])
    for name in there.keys() - {each.name for each in declared}:
        yield Change(f"deployment {name}", "is no longer in prefect.yaml")


def _registered(deployment: DeploymentResponse) -> dict[str, Any]:
    limit, options = deployment.global_concurrency_limit, deployment.concurrency_options
    return {
        "entrypoint": deployment.entrypoint,
        "description": deployment.description or "",
        "tags": sorted(deployment.tags),
        "parameters": deployment.parameters,
        "schedules": sorted(_when(each.schedule) for each in deployment.schedules),
        "work pool": deployment.work_pool_name,
        "concurrency": limit and (limit.limit, options and options.collision_strategy.value),
    }


def _declared(deployment: Declared, profile: str) -> dict[str, Any]:
    limit = deployment.concurrency_limit
    return {
        "entrypoint": deployment.entrypoint,
        "description": deployment.description,
        "tags": sorted([*deployment.tags, OURS]),
        "parameters": {**deployment.parameters, "profile": profile},
        "schedules": sorted(map(_when, deployment.schedules)),
        "work pool": deployment.work_pool.name,
        "concurrency": limit and (limit.limit, limit.collision_strategy.value),
    }


def _when(schedule: Any) -> str:
    """A schedule in words, whether it comes from prefect.yaml or from the server."""
    rule = next(filter(None, (getattr(schedule, kind, None) for kind in ("cron", "interval", "rrule"))), "")
    return f"{rule} {getattr(schedule, 'timezone', None) or 'UTC'}"


def surroundings(client: SyncPrefectClient, declared: list[Declared]) -> Iterator[Change]:
    """The work pools and the limit that are not there."""
    for pool in sorted({each.work_pool.name for each in declared}):
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            yield Change(f"work pool {pool}", "is not there")
    try:
        limit = client.read_global_concurrency_limit_by_name(WAREHOUSE_SLOT)
    except ObjectNotFound:
        yield Change(f"limit {WAREHOUSE_SLOT}", "is not there")
    else:
        if limit.limit != 1:
            yield Change(f"limit {WAREHOUSE_SLOT}", f"{limit.limit} -> 1")

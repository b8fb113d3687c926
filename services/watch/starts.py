"""Find what keeps runs from starting: pools, workers, deployments and schedules, and runs that start late."""

import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from blocks.names import variable
from services.watch.causes import Finding
from services.watch.prefect_api import Json, moment
from services.watch.probe import Facts

PREFECT_YAML = Path(__file__).parents[2] / "prefect.yaml"
WITHOUT_WORKERS = ("push", "managed")
"""Suffixes of the work pool types whose runs Prefect Cloud starts without a worker."""


def starts(facts: Facts) -> list[Finding]:
    """Return what keeps runs from starting. If a pool is the reason, report only the pool."""
    things = _registered(facts)
    pools = [each.removeprefix("work pool ") for each in things if each.startswith("work pool ")]
    troubled = [finding for pool in pools for finding in _pool(facts, pool)]
    names = [each.removeprefix("deployment ") for each in things if each.startswith("deployment ")]
    there = _deployments(facts, names)
    off = [finding for name in names for finding in _deployment(facts, name, there.get(facts.names.name(name)))]
    stuck = {each.names["pool"] for each in troubled}
    return [*troubled, *off, *_late(facts, stuck)]


def _registered(facts: Facts) -> list[str]:
    """Return what the platform registered, from its record on the server: `deployment NAME`, `work pool NAME`."""
    name, text, part = f"platform_{variable(facts.names.namespace)}", "", 0
    while chunk := facts.prefect.variable(f"{name}_part_{part}" if part else name):
        text, part = text + chunk, part + 1
    things = yaml.safe_load(text or "{}").get("things", {})
    return sorted(things)


def _pool(facts: Facts, pool: str) -> Iterator[Finding]:
    where, named = facts.prefect.page(f"/work-pools/work-pool/{quote(pool)}"), {"pool": pool}
    found = facts.prefect.ask("GET", f"/work_pools/{quote(pool)}")
    if not found:
        yield Finding("pool_gone", pool, f"The work pool {pool} is no longer on the server.", where, names=named)
        return
    if found["is_paused"]:
        yield Finding("pool_paused", pool, f"The work pool {pool} is paused.", where, names=named)
    else:
        for queue in facts.prefect.ask("POST", f"/work_pools/{quote(pool)}/queues/filter", {}) or []:
            if queue["is_paused"]:
                what = f"The queue {queue['name']} of the work pool {pool} is paused."
                command = "prefect work-queue resume {queue}"
                names = {**named, "queue": f"{shlex.quote(queue['name'])} --pool {shlex.quote(pool)}"}
                yield Finding("pool_paused", f"{pool}/{queue['name']}", what, where, names=names, command=command)
    if not found["type"].endswith(WITHOUT_WORKERS):
        workers = facts.prefect.ask("POST", f"/work_pools/{quote(pool)}/workers/filter", {}) or []
        if not any(each["status"] == "ONLINE" for each in workers):
            last = max((moment(each["last_heartbeat_time"]) for each in workers), default=None)
            what = f"No worker of the work pool {pool} is online."
            yield Finding("worker_gone", pool, what, where, last, names=named)


def _deployments(facts: Facts, names: list[str]) -> dict[str, Json]:
    full = [facts.names.name(each) for each in names]
    body = {"deployments": {"name": {"any_": full}}, "limit": 200}
    return {each["name"]: each for each in facts.prefect.ask("POST", "/deployments/filter", body) or []} if full else {}


def _deployment(facts: Facts, name: str, there: Json | None) -> Iterator[Finding]:
    full, declared = facts.names.name(name), _declared(name)
    if there is None:
        where = facts.prefect.page("/deployments")
        yield Finding("deployment_gone", full, f"The deployment {full} is no longer on the server.", where)
        return
    where = facts.prefect.page(f"/deployments/deployment/{there['id']}")
    wanted = [each for each in declared.get("schedules") or [] if each.get("active") is not False]
    idle = [each for each in there["schedules"] if not each["active"]]
    idle_by_choice = len(declared.get("schedules") or []) - len(wanted)
    if there["paused"]:
        if not declared.get("paused"):
            what, names = f"The deployment {full} is paused.", {"id": there["id"]}
            command = "prefect api POST /deployments/{id}/resume_deployment"
            yield Finding("schedule_off", full, what, where, names=names, command=command)
    elif len(idle) > idle_by_choice:
        flow = declared["entrypoint"].rpartition(":")[2]
        names = {"schedule": f"{shlex.quote(f'{flow}/{full}')} {idle[-1]['id']}"}
        command = "prefect deployment schedule resume {schedule}"
        what = f"A schedule of the deployment {full} is switched off."
        yield Finding("schedule_off", full, what, where, names=names, command=command)
    elif wanted and not any(each["active"] for each in there["schedules"]):
        what = f"The schedule of the deployment {full} was removed."
        yield Finding("schedule_off", full, what, where, command="make up{profile}")


def _declared(name: str) -> dict[str, Any]:
    """Return a deployment's entry in prefect.yaml; {} if there is none."""
    if not PREFECT_YAML.is_file():
        return {}
    found = yaml.safe_load(PREFECT_YAML.read_text(encoding="utf-8"))["deployments"]
    return next((each for each in found if each["name"] == name), {})


def _late(facts: Facts, stuck: set[str]) -> list[Finding]:
    """Return a finding for each deployment with a run that should have started.

    For a pool with its own finding, return only those that were reported before, because they are not over.
    """
    before = facts.now - timedelta(minutes=facts.settings.alert_late_minutes)
    wanted = {
        "tags": {"all_": [facts.names.tag]},
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "next_scheduled_start_time": {"before_": before.isoformat()},
    }
    found: dict[str, Finding] = {}
    reported = {key for key in facts.state.incidents if key.startswith("run_late/")}
    for run in facts.prefect.all("/flow_runs/filter", {"flow_runs": wanted, "sort": "NEXT_SCHEDULED_START_TIME_ASC"}):
        is_stuck = run.get("work_pool_name") in stuck
        if run["state_name"] == "AwaitingConcurrencySlot" or (is_stuck and not reported):
            continue
        name = deployment_name(facts, run.get("deployment_id"))
        if is_stuck and f"run_late/{name}" not in reported:
            continue
        since = moment(run["next_scheduled_start_time"])
        what = f"A run of {name} should have started at {since:%H:%M} UTC, and has not."
        where = f"run {run['name']}, {facts.prefect.page('/runs/flow-run/' + run['id'])}"
        found.setdefault(name, Finding("run_late", name, what, where, since))
    return list(found.values())


def deployment_name(facts: Facts, id_: str | None) -> str:
    """Return a deployment's name, or its id if it was deleted."""
    found = facts.prefect.ask("GET", f"/deployments/{id_}") if id_ else None
    return str(found["name"]) if found else f"a deployment that was deleted ({id_})"

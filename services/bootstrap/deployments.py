"""Register and change a profile's deployments on Prefect's server.

Prefect's own `deploy --all` cannot give all of them a parameter. It overwrites people's changes and never removes any.
"""

from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.utilities.callables import parameter_schema

from blocks.names import Names
from services.bootstrap.merge import REMOVED, Flat, members, merged
from services.bootstrap.pages import ask, pages
from services.bootstrap.prefect_yaml import PROJECT, Declared

FIELDS = {
    "work pool": "work_pool_name",
    "work queue": "work_queue_name",
    "parameter schema": "parameter_openapi_schema",
}
"""Prefect's names of the values that have another name here."""

GROUPS = ("parameters", "job_variables", "env", "tags", "schedules")


def wanted(deployment: Declared, names: Names, blocks: str | None, env: dict[str, str]) -> Flat:
    """Return the values to register for a deployment.

    Args:
        deployment: from prefect.yaml.
        names: the names that the platform uses on the server.
        blocks: name of the profile's blocks, passed to the flow as `profile`. With None, the flow reads its connections
            from the environment.
        env: variables for its runs; those in prefect.yaml override them.
    """
    pool, limit = deployment.work_pool, deployment.concurrency_limit
    own_env = pool.job_variables.get("env") or {}
    plain = {
        "entrypoint": deployment.entrypoint,
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(PROJECT)}}],
        "description": deployment.description or deployment.flow.description,
        "version": deployment.version,
        "enforce_parameter_schema": deployment.enforce_parameter_schema,
        "paused": deployment.paused,
        "parameter schema": parameter_schema(deployment.flow).model_dump(mode="json", exclude_unset=True),
        "work pool": names.name(pool.name),
        "work queue": pool.work_queue_name,
        "concurrency": limit and limit.model_dump(),
    }
    return {
        **{name: value for name, value in plain.items() if value is not None},
        **members("parameters", deployment.parameters | ({"profile": blocks} if blocks else {})),
        **members("job_variables", {name: v for name, v in pool.job_variables.items() if name != "env"}),
        **members("env", env | own_env),
        **members("tags", dict.fromkeys([*deployment.tags, names.tag], True)),
        **members("schedules", {_when(each["schedule"]): _details(each, each) for each in deployment.create_schedules}),
    }


def registered(server: dict[str, Any], declared: Flat) -> Flat:
    """Return the same values from the server's deployment."""
    jobs = server["job_variables"] or {}
    limit, options = server.get("global_concurrency_limit"), server.get("concurrency_options") or {}
    plain = {
        **{name: server.get(FIELDS.get(name, name)) for name in _plain(declared)},
        "concurrency": limit
        and {
            "limit": limit["limit"],
            "collision_strategy": options.get("collision_strategy") or "ENQUEUE",
            "grace_period_seconds": options.get("grace_period_seconds"),
        },
    }
    schedules = {
        _when(each["schedule"]): _details(each, declared.get(f"schedules.{_when(each['schedule'])}", {}))
        for each in server["schedules"]
    }
    return {
        **{name: value for name, value in plain.items() if value is not None},
        **{name: server[field] for name, field in FIELDS.items() if name not in declared and server.get(field)},
        **{name: server[name] for name in ("version", "paused") if name not in declared and server.get(name)},
        **members("parameters", server["parameters"]),
        **members("job_variables", {name: value for name, value in jobs.items() if name != "env"}),
        **members("env", jobs.get("env") or {}),
        **members("tags", dict.fromkeys(server["tags"], True)),
        **members("schedules", schedules),
    }


def _plain(values: Flat) -> list[str]:
    return [name for name in values if name.partition(".")[0] not in GROUPS]


def _when(schedule: dict[str, Any]) -> str:
    """Describe a schedule in words, which identify it within its deployment."""
    rule = next(filter(None, (schedule.get(kind) for kind in ("cron", "interval", "rrule"))), "")
    if schedule.get("rrule"):
        rule = " ".join(line for line in str(rule).split() if not line.startswith("DTSTART"))
    rule = f"every {float(rule):g} s" if schedule.get("interval") else rule
    both = " (day and weekday)" if schedule.get("day_or") is False else ""
    return f"{rule}{both} {schedule.get('timezone') or 'UTC'}"


def _details(schedule: dict[str, Any], like: dict[str, Any]) -> Flat:
    """Return a schedule's other values, but only those that `like` sets: people may switch off a schedule otherwise."""
    return {name: schedule.get(name) for name in ("parameters", "slug", "active") if like.get(name) is not None}


def create(client: SyncPrefectClient, deployment: Declared, names: Names, values: Flat) -> None:
    """Create a deployment."""
    body = {
        "name": names.name(deployment.name),
        "flow_id": str(client.create_flow_from_name(deployment.flow.name)),
        "schedules": deployment.create_schedules,
        **_body(values, {"tags": [], "parameters": {}, "job_variables": {}}),
    }
    ask(client, "POST", "/deployments/", body)


def update(client: SyncPrefectClient, deployment: Declared, server: dict[str, Any], changed: Flat) -> None:
    """Change only these values of a deployment."""
    path = f"/deployments/{server['id']}"
    if body := _body(changed, server):
        if "work_queue_name" in body or "work_pool_name" in body:
            body.setdefault("work_pool_name", server["work_pool_name"])
            if queue := body.get("work_queue_name") or deployment.work_pool.work_queue_name:
                body["work_queue_name"] = queue
        ask(client, "PATCH", path, body)
    _update_schedules(client, f"{path}/schedules", deployment, server, changed)


def _body(changed: Flat, server: dict[str, Any]) -> dict[str, Any]:
    """Return the request body for changed values, without schedules."""
    body = {
        FIELDS.get(name, name): None if changed[name] is REMOVED else changed[name]
        for name in _plain(changed)
        if name != "concurrency"
    }
    if "concurrency" in changed:
        limit = {} if changed["concurrency"] is REMOVED else dict(changed["concurrency"])
        body["concurrency_limit"] = limit.pop("limit", None)
        body["concurrency_options"] = {name: value for name, value in limit.items() if value is not None} or None
    jobs = server["job_variables"] or {}
    env, others = merged("env", jobs.get("env") or {}, changed), merged("job_variables", jobs, changed)
    if env is not None or others is not None:
        body["job_variables"] = {**(jobs if others is None else others), **({} if env is None else {"env": env})}
    if (parameters := merged("parameters", server["parameters"], changed)) is not None:
        body["parameters"] = parameters
    if (tags := merged("tags", dict.fromkeys(server["tags"], True), changed)) is not None:
        body["tags"] = list(tags)
    if body.get("paused", 0) is None:
        body["paused"] = False
    return body


def _update_schedules(
    client: SyncPrefectClient, path: str, deployment: Declared, server: dict[str, Any], changed: Flat
) -> None:
    """Create, change and delete schedules. A new one reuses a removed one, and stays off if that was off."""
    there = {_when(each["schedule"]): each["id"] for each in server["schedules"]}
    to_make = {_when(each["schedule"]): each for each in deployment.create_schedules}
    named = {name.removeprefix("schedules."): value for name, value in changed.items() if name.startswith("schedules.")}
    removed = [there[when] for when, value in named.items() if value is REMOVED]
    for when in (when for when, value in named.items() if value is not REMOVED):
        body = to_make[when]
        if replaced := there.get(when) or (removed.pop(0) if removed else None):
            fields = {name: value for name, value in body.items() if name != "active" or _sets_active(deployment, when)}
            ask(client, "PATCH", f"{path}/{replaced}", fields)
        else:
            ask(client, "POST", path, [body])
    for each in removed:
        ask(client, "DELETE", f"{path}/{each}", None)


def _sets_active(deployment: Declared, when: str) -> bool:
    return any(each.active is not None for each in deployment.schedules if _when(each.create["schedule"]) == when)


def ours(client: SyncPrefectClient, names: Names) -> dict[str, dict[str, Any]]:
    """Return the server's deployments with the platform's tag, by full name."""
    return _by_name(client, {"deployments": {"tags": {"all_": [names.tag]}}})


def called(client: SyncPrefectClient, full_names: list[str]) -> dict[str, dict[str, Any]]:
    """Return the server's deployments with these full names."""
    wanted = sorted({each.rpartition("/")[2] for each in full_names})
    found = _by_name(client, {"deployments": {"name": {"any_": wanted}}})
    return {name: each for name, each in found.items() if name in full_names}


def _by_name(client: SyncPrefectClient, body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = list(pages(client, "/deployments/filter", body))
    ids = sorted({each["flow_id"] for each in found})
    flows = {each["id"]: each["name"] for each in _flows(client, ids)}
    return {f"{flows[each['flow_id']]}/{each['name']}": each for each in found}


def _flows(client: SyncPrefectClient, ids: list[str]) -> Iterator[dict[str, Any]]:
    return pages(client, "/flows/filter", {"flows": {"id": {"any_": ids}}})

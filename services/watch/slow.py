"""Find runs that take much longer than their deployment's runs usually do."""

from datetime import timedelta
from statistics import median

from services.watch.causes import Finding
from services.watch.prefect_api import moment
from services.watch.probe import Facts
from services.watch.starts import deployment_name

TIMES = 3
LEAST = timedelta(seconds=60)
"""A run shorter than this is never slow."""
HISTORY, ENOUGH = 20, 3
"""How many completed runs to compare with, and how many there must be."""


def slow(facts: Facts) -> list[Finding]:
    """Return a finding for each deployment with a run that takes more than TIMES its usual time."""
    wanted = {
        "tags": {"all_": [facts.names.tag]},
        "state": {"type": {"any_": ["RUNNING"]}},
        "parent_task_run_id": {"is_null_": True},
    }
    found: dict[str, Finding] = {}
    for run in facts.prefect.all("/flow_runs/filter", {"flow_runs": wanted}):
        began, deployment = moment(run["state"]["timestamp"]), run.get("deployment_id")
        took = facts.now - began
        if not deployment or took <= LEAST or (usual := _usual(facts, deployment)) is None or took <= TIMES * usual:
            continue
        name = deployment_name(facts, deployment)
        limit = max(LEAST, TIMES * usual)
        what = (
            f"A run of {name} takes longer than {limit.total_seconds():.0f} s. "
            f"Usually it takes {usual.total_seconds():.0f} s."
        )
        where = f"run {run['name']}, {facts.prefect.page('/runs/flow-run/' + run['id'])}"
        found.setdefault(name, Finding("run_slow", name, what, where, began + limit))
    return list(found.values())


def _usual(facts: Facts, deployment: str) -> timedelta | None:
    """Return the median time of a deployment's last completed runs; None if there are too few."""
    wanted = {
        "deployment_id": {"any_": [deployment]},
        "state": {"type": {"any_": ["COMPLETED"]}},
        "parent_task_run_id": {"is_null_": True},
    }
    body = {"flow_runs": wanted, "sort": "END_TIME_DESC", "limit": HISTORY}
    took = [each["total_run_time"] for each in facts.prefect.ask("POST", "/flow_runs/filter", body) or []]
    return timedelta(seconds=median(took)) if len(took) >= ENOUGH else None

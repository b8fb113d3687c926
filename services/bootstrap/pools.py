"""The work pools that the deployments name: of processes, or as a template in `work_pools/` has it."""

import json
from pathlib import Path
from typing import Any

from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkPool
from prefect.workers.process import ProcessWorker

TEMPLATES = Path(__file__).with_name("work_pools")


def work_pool(plain: str, name: str = "") -> WorkPoolCreate:
    """A pool for Prefect's server, with the limit of runs and the pause that people set left to them.

    A pool that prefect.yaml calls as a template is called, `kubernetes` or `ecs`, is of that type and has that base job
    template; any other is one of processes. `name` is its name on the server, where that is another.
    """
    template = TEMPLATES / f"{plain}.json"
    if template.is_file():
        return WorkPoolCreate(name=name or plain, type=plain, base_job_template=json.loads(template.read_text()))
    default = ProcessWorker.get_default_base_job_template()
    return WorkPoolCreate(name=name or plain, type="process", base_job_template=default)


def wanted(plain: str) -> dict[str, Any]:
    """A pool's values that are the platform's to set."""
    return {"base_job_template": json.loads(json.dumps(work_pool(plain).base_job_template))}


def registered(pool: WorkPool) -> dict[str, Any]:
    """The same values as the server has them."""
    return {"base_job_template": pool.base_job_template}

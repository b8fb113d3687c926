"""The work pools of the deployments: of type process, or from a template in `work_pools/`."""

import json
from pathlib import Path
from typing import Any

from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkPool
from prefect.workers.process import ProcessWorker

TEMPLATES = Path(__file__).with_name("work_pools")


def work_pool(plain: str, name: str = "") -> WorkPoolCreate:
    """Return a work pool to create on the server. Its concurrency limit and pause are not set; people do that.

    If prefect.yaml names the pool like a template (`kubernetes` or `ecs`), it has that type and base job template.
    Any other pool is of type process. `name` is the pool's name on the server, if it differs.
    """
    template = TEMPLATES / f"{plain}.json"
    if template.is_file():
        return WorkPoolCreate(name=name or plain, type=plain, base_job_template=json.loads(template.read_text()))
    default = ProcessWorker.get_default_base_job_template()
    return WorkPoolCreate(name=name or plain, type="process", base_job_template=default)


def wanted(plain: str) -> dict[str, Any]:
    """Return the values of a pool that the platform sets."""
    return {"base_job_template": json.loads(json.dumps(work_pool(plain).base_job_template))}


def registered(pool: WorkPool) -> dict[str, Any]:
    """Return the same values from the server's pool."""
    return {"base_job_template": pool.base_job_template}

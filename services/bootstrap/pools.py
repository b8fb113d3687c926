"""The work pools that the deployments name: of processes, or as a template in `work_pools/` has it."""

import json
from pathlib import Path

from prefect.client.schemas.actions import WorkPoolCreate
from prefect.workers.process import ProcessWorker

TEMPLATES = Path(__file__).with_name("work_pools")


def work_pool(name: str) -> WorkPoolCreate:
    """A pool for Prefect's server.

    A pool called as a template is, `kubernetes` or `ecs`, is of that type and has that base job template; any other is
    one of processes.
    """
    template = TEMPLATES / f"{name}.json"
    if template.is_file():
        return WorkPoolCreate(name=name, type=name, base_job_template=json.loads(template.read_text()))
    return WorkPoolCreate(name=name, type="process", base_job_template=ProcessWorker.get_default_base_job_template())

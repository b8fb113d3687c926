"""The templates of the work pools fit what Prefect knows of the workers that will read them."""

import json
import re
from pathlib import Path
from typing import Any

import prefect.server.api
import pytest
from prefect.server.schemas.actions import WorkPoolCreate
from prefect.utilities.schema_tools.validation import validate

from services.bootstrap.pools import TEMPLATES, work_pool

# Prefect's server serves this to its UI: for each type of worker, the template that the worker itself would make.
KNOWN = Path(prefect.server.api.__file__).parent / "collections_data" / "views" / "aggregate-worker-metadata.json"
WORKERS: dict[str, Any] = {
    kind: worker["default_base_job_configuration"]
    for collection in json.loads(KNOWN.read_text()).values()
    for kind, worker in collection.items()
}
KINDS = sorted(file.stem for file in TEMPLATES.glob("*.json"))
everywhere = pytest.mark.parametrize("kind", KINDS)


def schema(template: dict[str, Any]) -> dict[str, Any]:
    """A template's variables without their defaults."""
    properties = {
        name: {key: value for key, value in each.items() if key != "default"}
        for name, each in template["variables"]["properties"].items()
    }
    return {**template["variables"], "properties": properties}


def defaults(template: dict[str, Any]) -> dict[str, Any]:
    """A template's variables that have a default which is not null."""
    properties = template["variables"]["properties"]
    return {name: each["default"] for name, each in properties.items() if each.get("default") is not None}


def keeps(ours: Any, theirs: Any) -> bool:
    """Whether a part of a template has all that the worker's own has, and at most more."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and all(key in ours and keeps(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(keeps, ours, theirs))
    return bool(ours == theirs)


def test_there_is_a_template_for_kubernetes_and_one_for_ecs() -> None:
    assert KINDS == ["ecs", "kubernetes"]


@everywhere
def test_a_template_has_the_variables_of_its_worker_and_values_of_their_types(kind: str) -> None:
    template = work_pool(kind).base_job_template
    assert schema(template) == schema(WORKERS[kind])
    validate(defaults(template), template["variables"], raise_on_error=True)


@everywhere
def test_a_value_of_the_wrong_type_would_be_found(kind: str) -> None:
    template = work_pool(kind).base_job_template
    with pytest.raises(Exception, match=r"Validation failed for field .stream_output."):
        validate({**defaults(template), "stream_output": "perhaps"}, template["variables"], raise_on_error=True)


@everywhere
def test_a_template_passes_on_all_that_its_workers_own_does(kind: str) -> None:
    assert keeps(work_pool(kind).base_job_template["job_configuration"], WORKERS[kind]["job_configuration"])


@everywhere
def test_prefects_server_accepts_the_template(kind: str) -> None:
    pool = work_pool(kind)
    WorkPoolCreate(name=pool.name, type=pool.type, base_job_template=pool.base_job_template)


@everywhere
def test_runs_on_other_machines_have_no_root_and_no_capability_and_hold_no_secret(kind: str) -> None:
    text = (TEMPLATES / f"{kind}.json").read_text()
    assert re.search(r'"drop": \[\s*"ALL"\s*\]', text)
    assert re.search(r'"(runAsUser|user)": "?10001', text)
    assert set(defaults(work_pool(kind).base_job_template)["env"]) == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY"}


def test_any_other_pool_is_one_of_processes() -> None:
    assert work_pool("local").type == "process"

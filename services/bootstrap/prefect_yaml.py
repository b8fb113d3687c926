"""Read the deployments of prefect.yaml. Every key is registered, or rejected by name."""

from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from prefect import Flow
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.flows import load_flow_from_entrypoint
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from blocks.errors import ConfigurationError
from blocks.names import PREFECT_YAML, Names

PROJECT = Path(__file__).parents[2]


class Unregistrable(ConfigurationError, ValueError):
    """prefect.yaml has something that cannot be registered here."""


class Strict(BaseModel):
    """A part of prefect.yaml. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class WorkPool(Strict):
    """The work pool whose workers run a deployment, and the job variables."""

    name: str
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = {}


class Limit(Strict):
    """The limit of concurrent runs of a deployment."""

    limit: int
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    grace_period_seconds: int | None = None


class When(Strict):
    """A schedule: exactly one of `cron`, `interval` (seconds, or ISO 8601) and `rrule`."""

    cron: str | None = None
    interval: timedelta | None = None
    rrule: str | None = None
    timezone: str | None = None
    anchor_date: datetime | None = None
    day_or: bool | None = None
    active: bool | None = None
    parameters: dict[str, Any] = {}
    slug: str | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> "When":
        if sum(each is not None for each in (self.cron, self.interval, self.rrule)) != 1:
            raise ValueError("exactly one of cron, interval and rrule is expected")
        _ = self.schedule
        return self

    @property
    def schedule(self) -> CronSchedule | IntervalSchedule | RRuleSchedule:
        """The schedule as Prefect's class."""
        own: dict[str, Any] = {
            name: value
            for name, value in (
                ("timezone", self.timezone),
                ("anchor_date", self.anchor_date),
                ("day_or", self.day_or),
            )
            if value is not None
        }
        if self.cron:
            return CronSchedule(cron=self.cron, **own)
        if self.interval:
            return IntervalSchedule(interval=self.interval, **own)
        return RRuleSchedule(rrule=str(self.rrule), **own)

    @property
    def create(self) -> dict[str, Any]:
        """The schedule in the server's format."""
        made = DeploymentScheduleCreate(
            schedule=self.schedule, active=self.active is not False, parameters=self.parameters, slug=self.slug
        )
        return made.model_dump(mode="json", exclude_unset=True)


class Declared(Strict):
    """A deployment in prefect.yaml."""

    name: str
    entrypoint: str
    work_pool: WorkPool
    version: str | None = None
    description: str = ""
    tags: list[str] = []
    parameters: dict[str, Any] = {}
    enforce_parameter_schema: bool = True
    paused: bool | None = None
    schedules: list[When] = []
    concurrency_limit: Limit | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_schedule(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("schedule"):
            values = {**values, "schedules": [*(values.get("schedules") or []), values["schedule"]]}
        if not isinstance(values, dict):
            return values
        # An empty value counts as missing. Prefect does the same.
        return {k: v for k, v in values.items() if k != "schedule" and (v is not None or k not in cls.model_fields)}

    @field_validator("concurrency_limit", mode="before")
    @classmethod
    def _number_alone(cls, value: Any) -> Any:
        return {"limit": value} if isinstance(value, int) else value

    @property
    def flow(self) -> "Flow[..., Any]":
        """The flow that the deployment runs."""
        return _flow(self.entrypoint)

    @property
    def create_schedules(self) -> list[dict[str, Any]]:
        """The schedules in the server's format."""
        return [each.create for each in self.schedules]

    def full_name(self, names: Names) -> str:
        """Return the deployment's full name on the server, `flow/deployment`."""
        return f"{self.flow.name}/{names.name(self.name)}"


@cache
def _flow(entrypoint: str) -> "Flow[..., Any]":
    return load_flow_from_entrypoint(f"{PROJECT}/{entrypoint}")


class File(Strict):
    """The part of prefect.yaml that is registered."""

    model_config = ConfigDict(extra="allow")  # Prefect ignores keys for YAML anchors, such as `definitions`

    deployments: list[Declared]


UNSUPPORTED = ("build", "push", "pull", "triggers", "sla")
"""Keys of `prefect deploy` that bootstrap does not support, because it runs the code in this folder."""


def declared(file: Path = PROJECT / PREFECT_YAML) -> list[Declared]:
    """Return the deployments of prefect.yaml.

    Raises:
        Unregistrable: it has an unsupported key, a key is missing, or a value has the wrong form.
    """
    content = yaml.safe_load(file.read_text())
    unsupported = [name for name in UNSUPPORTED if isinstance(content, dict) and content.get(name)]
    faults = [f"{name} is not supported by `make up`, which runs the code in this folder" for name in unsupported]
    try:
        found = File.model_validate(content).deployments
    except ValidationError as error:
        faults += [_fault(content, each) for each in error.errors()]
        found = []
    faults += [f"deployment {name} is defined twice" for name in _twice([each.name for each in found])]
    faults += [
        f"deployment {each.name} has a template, {{{{ … }}}}, which is not supported here"
        for each in found
        if "{{" in each.model_dump_json()
    ]
    if faults:
        raise Unregistrable(f"{file.name} cannot be registered: {'; '.join(faults)}. Correct or remove these.")
    return found


def _fault(content: Any, error: Any) -> str:
    where = list(error["loc"])
    if where[:1] == ["deployments"] and len(where) > 1 and isinstance(where[1], int):
        entry = content["deployments"][where[1]]
        where[:2] = [f"deployment {entry.get('name', where[1]) if isinstance(entry, dict) else where[1]}"]
    said = "is not supported here" if error["type"] == "extra_forbidden" else error["msg"]
    return f"{where[0]}: {'.'.join(map(str, where[1:]))} {said}" if where else said


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})

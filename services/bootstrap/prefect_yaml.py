"""The deployments of prefect.yaml, each key of which is registered or refused by name."""

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
from blocks.names import OURS, Names

PROJECT = Path(__file__).parents[2]


class Unregistrable(ConfigurationError, ValueError):
    """prefect.yaml asks for something that is not registered here."""


class Strict(BaseModel):
    """A part of prefect.yaml, in which no key goes unread."""

    model_config = ConfigDict(extra="forbid")


class WorkPool(Strict):
    """The pool whose worker runs a deployment, and how it does."""

    name: str
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = {}


class Limit(Strict):
    """How many runs of a deployment there may be at once."""

    limit: int
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    grace_period_seconds: int | None = None


class When(Strict):
    """A schedule: one of `cron`, `interval` (in seconds, or in ISO 8601) and `rrule`."""

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
        """The schedule as Prefect has it."""
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
        """The schedule as the server takes it."""
        made = DeploymentScheduleCreate(
            schedule=self.schedule, active=self.active is not False, parameters=self.parameters, slug=self.slug
        )
        return made.model_dump(mode="json", exclude_unset=True)


class Declared(Strict):
    """One deployment as prefect.yaml writes it."""

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
        # An empty value counts as none, as for Prefect.
        return {k: v for k, v in values.items() if k != "schedule" and (v is not None or k not in cls.model_fields)}

    @field_validator("concurrency_limit", mode="before")
    @classmethod
    def _number_alone(cls, value: Any) -> Any:
        return {"limit": value} if isinstance(value, int) else value

    @property
    def flow(self) -> "Flow[..., Any]":
        """The flow that it runs."""
        return _flow(self.entrypoint)

    @property
    def create_schedules(self) -> list[dict[str, Any]]:
        """Its schedules as the server takes them."""
        return [each.create for each in self.schedules]

    def full_name(self, names: Names) -> str:
        """Its name on the server, `flow/deployment`."""
        return f"{self.flow.name}/{names.name(self.name)}"


@cache
def _flow(entrypoint: str) -> "Flow[..., Any]":
    return load_flow_from_entrypoint(f"{PROJECT}/{entrypoint}")


class File(Strict):
    """prefect.yaml: of what Prefect reads there, what is registered."""

    model_config = ConfigDict(extra="allow")  # keys for YAML's own anchors, as `definitions`, mean nothing to Prefect

    deployments: list[Declared]


NOT_HERE = ("build", "push", "pull", "triggers", "sla")
"""What `prefect deploy` does with these, bootstrap does not: it runs the code that is there."""


def declared(file: Path = PROJECT / OURS) -> list[Declared]:
    """The deployments of prefect.yaml.

    Raises:
        Unregistrable: it has a key that would be ignored, lacks one, or has a value of the wrong form.
    """
    content = yaml.safe_load(file.read_text())
    unread = [name for name in NOT_HERE if isinstance(content, dict) and content.get(name)]
    faults = [f"{name} is not registered by `make up`, which runs the code of this folder" for name in unread]
    try:
        found = File.model_validate(content).deployments
    except ValidationError as error:
        faults += [_fault(content, each) for each in error.errors()]
        found = []
    faults += [f"deployment {name} is there twice" for name in _twice([each.name for each in found])]
    faults += [
        f"deployment {each.name} has a template, {{{{ … }}}}, which is not resolved here"
        for each in found
        if "{{" in each.model_dump_json()
    ]
    if faults:
        raise Unregistrable(f"{file.name} cannot be registered: {'; '.join(faults)}. Remove or correct that.")
    return found


def _fault(content: Any, error: Any) -> str:
    where = list(error["loc"])
    if where[:1] == ["deployments"] and len(where) > 1 and isinstance(where[1], int):
        entry = content["deployments"][where[1]]
        where[:2] = [f"deployment {entry.get('name', where[1]) if isinstance(entry, dict) else where[1]}"]
    said = "is not registered here" if error["type"] == "extra_forbidden" else error["msg"]
    return f"{where[0]}: {'.'.join(map(str, where[1:]))} {said}" if where else said


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})

"""Which failures are worth another try."""

from typing import Any

from prefect.client.schemas.objects import State

from blocks.airbyte import AirbyteUnavailable
from blocks.dbt import WarehouseLocked
from blocks.errors import ConfigurationError
from blocks.landing import LandingUnavailable
from blocks.warehouse import PublishBlocked


def if_temporary(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """A task's `retry_condition_fn`: yes where the other side may recover by itself, no where a person must act."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, AirbyteUnavailable | LandingUnavailable | PublishBlocked | WarehouseLocked)


def unless_misconfigured(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """Another such: yes for all but a setting that a person must correct."""
    return not isinstance(state.result(raise_on_failure=False), ConfigurationError)

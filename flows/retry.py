"""Which failures are worth another try."""

from typing import Any

from prefect.client.schemas.objects import State

from blocks.airbyte.errors import AirbyteUnavailable
from blocks.dbt.errors import WarehouseAway, WarehouseLocked
from blocks.errors import ConfigurationError
from blocks.landing import LandingUnavailable
from blocks.warehouse import PublishBlocked, WarehouseUnreachable

TEMPORARY = (
    AirbyteUnavailable,
    LandingUnavailable,
    PublishBlocked,
    WarehouseAway,
    WarehouseLocked,
    WarehouseUnreachable,
)

WAREHOUSE_RETRIES = 5
"""After 2, 4, 8, 16 and 32 seconds: a warehouse that was away for a minute is found again."""


def if_temporary(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """A task's `retry_condition_fn`: yes where the other side may recover by itself, no where a person must act."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, TEMPORARY)


def unless_misconfigured(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """Another such: yes for all but a setting that a person must correct."""
    return not isinstance(state.result(raise_on_failure=False), ConfigurationError)

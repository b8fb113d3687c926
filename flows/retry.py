"""Which failures are retried."""

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
"""After 2, 4, 8, 16 and 32 seconds, which is enough for a warehouse that is down for a minute."""


def if_temporary(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """Retry a task if the other system may recover by itself, and not if a person must act (a `retry_condition_fn`)."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, TEMPORARY)


def unless_misconfigured(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """Retry a task after every error but a wrong setting, which a person must correct (a `retry_condition_fn`)."""
    return not isinstance(state.result(raise_on_failure=False), ConfigurationError)

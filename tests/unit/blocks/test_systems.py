"""Each field of a system's block takes its value from the setting of that name."""

from collections.abc import Callable
from typing import Any

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.settings import Settings
from blocks.systems import airbyte_from, dbt_from, landing_from, snowflake_from

NUMBERS = {name for name, field in Settings.model_fields.items() if field.annotation in (int, float, int | None)}
OTHERS = {"automatic_runs", "alert_format"}
NAMED = {name: 9000 + at if name in NUMBERS else name for at, name in enumerate(Settings.model_fields)}
SYSTEMS = [landing_from, airbyte_from, snowflake_from, dbt_from]


def shown(block: Block) -> dict[str, Any]:
    values = {name: getattr(block, name) for name in type(block).model_fields}
    values |= {name: ",".join(value) for name, value in values.items() if isinstance(value, list)}
    return {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in values.items()}


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_field_is_filled_from_the_setting_of_its_name(system: Callable[[Settings], Block]) -> None:
    settings = Settings(**{name: value for name, value in NAMED.items() if name not in OTHERS})
    filled = shown(system(settings))
    for name, value in filled.items():
        setting = Settings.model_fields.keys() & {str(value)} or {each for each in NUMBERS if NAMED[each] == value}
        assert [each for each in setting if each.endswith(name.rstrip("_"))], f"{name} is {value!r}"

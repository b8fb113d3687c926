"""The dbt project at work on the emulator, from the same lake as on DuckDB."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from dbt.cli.main import dbtRunnerResult

from tests.integration.dbt.project import Platform
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator


@dataclass(kw_only=True)
class SnowflakePlatform(Platform):
    emulator: Emulator

    def dbt(self, *arguments: str, callback: Callable[[Any], None] | None = None) -> dbtRunnerResult:
        """Run dbt with the target `snowflake`."""
        with pytest.MonkeyPatch.context() as environment:
            for name, value in variables(self.emulator).items():
                environment.setenv(name, value)
            return super().dbt(*arguments, "--target", "snowflake", callback=callback)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.emulator.rows(query)


def variables(emulator: Emulator) -> dict[str, str]:
    """The settings of a platform whose warehouse the emulator is."""
    return {
        "SNOWFLAKE_ACCOUNT": "org-account",
        "SNOWFLAKE_USER": USER,
        "SNOWFLAKE_PASSWORD": PASSWORD,
        "SNOWFLAKE_DATABASE": "FLIGHTS",
        "SNOWFLAKE_SCHEMA": "ANALYTICS",
        "SNOWFLAKE_WAREHOUSE": "W",
        "SNOWFLAKE_ROLE": "R",
        "SNOWFLAKE_HOST": "127.0.0.1",
        "SNOWFLAKE_PORT": str(emulator.port),
        "SNOWFLAKE_PROTOCOL": "http",
    }

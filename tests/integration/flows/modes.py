"""The ways in which the pipeline's tests run: the mock's own, and Airbyte's, into either warehouse."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.flows.platform import Platform
from tests.integration.snowflake.emulator import PASSWORD, USER, Emulator
from tests.integration.snowflake.project import variables

SCHEMAS = (
    "RAW",
    "AIRBYTE_INTERNAL",
    *(f"ANALYTICS{part}" for part in ("", "_STAGING", "_INTERMEDIATE", "_SNAPSHOTS", "_PUBLISHED")),
)


@dataclass(frozen=True)
class Mode:
    """How the mock loads, and where: `like_airbyte` is its flag, `snowflake` has the emulator as the warehouse."""

    like_airbyte: bool = False
    snowflake: bool = False

    def __str__(self) -> str:
        return ("like Airbyte" if self.like_airbyte else "default") + (", emulator" if self.snowflake else "")


DEFAULT, LIKE_AIRBYTE, ON_SNOWFLAKE = Mode(), Mode(like_airbyte=True), Mode(like_airbyte=True, snowflake=True)
ON_IT = [
    # dbt-snowflake's own: it hands its connector an option by the option's old name.
    pytest.mark.filterwarnings("ignore:The 'insecure_mode' connection property is deprecated"),
    pytest.mark.exhaustive,
    pytest.mark.timeout(1800),
]
"""The marks of a test on the emulator."""
_SNOWFLAKE = pytest.param(ON_SNOWFLAKE, marks=ON_IT)
like_airbyte = pytest.mark.parametrize("mode", [LIKE_AIRBYTE, _SNOWFLAKE], indirect=True, ids=str)
"""As Airbyte does, into DuckDB and, in `make test-all`, into the emulator."""
every_mode = pytest.mark.parametrize(
    "mode", [DEFAULT, pytest.param(LIKE_AIRBYTE, marks=pytest.mark.exhaustive), _SNOWFLAKE], indirect=True, ids=str
)
"""The default and, in `make test-all`, as Airbyte does, into both warehouses."""


@dataclass
class OnSnowflake(Platform):
    """A platform whose warehouse is the emulator."""

    emulator: Emulator
    schema = "analytics"
    readers = "analytics_published"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.emulator.rows(sql, schema="ANALYTICS_PUBLISHED")

    def built(self, sql: str) -> list[tuple[Any, ...]]:
        return self.emulator.rows(sql, schema="ANALYTICS")

    def raw(self, stream: str) -> str:
        return f"flights.raw.{stream}"

    def raw_types(self, stream: str) -> dict[str, str]:
        return {row[0].lower(): row[1].partition("(")[0] for row in self.emulator.rows(f"describe table raw.{stream}")}


@contextmanager
def emptied(emulator: Emulator, folder: Path) -> Iterator[dict[str, str]]:
    """An empty warehouse, and the environment of a platform on it; the mock's destination is in `destination.json`."""
    with emulator.connect() as session, session.cursor() as cursor:
        for schema in SCHEMAS:
            cursor.execute(f"drop schema if exists {schema} cascade")
    destination = {
        "destinationType": "snowflake",
        "host": f"http://127.0.0.1:{emulator.port}",
        "role": "R",
        "warehouse": "W",
        "database": "FLIGHTS",
        "schema": "raw",
        "username": USER,
        "credentials": {"auth_type": "Username and Password", "password": PASSWORD},
    }
    (folder / "destination.json").write_text(json.dumps(destination))
    yield {**variables(emulator), "DBT_TARGET": "snowflake"}

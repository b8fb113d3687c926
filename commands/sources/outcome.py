"""The result of a pipeline run for one source."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """The first rows of the published table, its tests as `name` and `status`, and the place of the table."""

    name: str
    rows: list[dict[str, Any]]
    tests: list[dict[str, str]]
    table: str


def tests_of(nodes: Iterable[Mapping[str, Any]], name: str) -> list[dict[str, str]]:
    """Return the results of a source's tests among dbt's results."""
    return [
        {"name": node["name"], "status": node["status"]}
        for node in nodes
        if node["resource_type"] == "test" and f"_{name}_" in f"_{node['name']}_"
    ]

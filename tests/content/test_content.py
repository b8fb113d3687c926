"""What holds for any content: `make test` runs these in the checkout of the user, too."""

from pathlib import Path
from typing import Any

import yaml

from services.airbyte.catalog.config_file import load_config
from services.content import CONNECTIONS, PROJECT

MODELS = PROJECT / "dbt_project" / "models"


def test_the_mock_airbyte_takes_the_connections() -> None:
    assert load_config(CONNECTIONS).connections


def test_dbt_reads_each_stream_that_a_connection_loads_into_the_lake() -> None:
    config = load_config(CONNECTIONS)
    sources = {each.sourceId: each for each in config.sources}
    loaded = {
        f"{connection.prefix}{stream.name}"
        for connection in config.connections
        for stream in sources[connection.sourceId].configuration.streams
    }
    assert sorted(loaded - tables(MODELS)) == []


def tables(models: Path) -> set[str]:
    """The tables of sources that the dbt project declares."""
    files = [file for pattern in ("*.yml", "*.yaml") for file in models.rglob(pattern)]
    documents: list[dict[str, Any]] = [yaml.safe_load(file.read_text(encoding="utf-8")) or {} for file in files]
    sources = [source for each in documents for source in each.get("sources") or ()]
    return {table["name"] for source in sources for table in source.get("tables") or ()}

"""The config file is checked when it is read, and every error names its line."""

from pathlib import Path

import pytest

from services.airbyte.catalog import config_schema
from services.airbyte.catalog.catalog import Catalog
from services.airbyte.catalog.config_file import ConfigError, load_config
from services.content import CONNECTIONS
from tests.integration.airbyte.source_s3 import differences

TEXT = CONNECTIONS.read_text(encoding="utf-8")


def test_the_sample_has_one_connection_of_five_streams(tmp_path: Path) -> None:
    catalog = Catalog(load_config(CONNECTIONS), tmp_path)
    (connection,) = catalog.connections.values()
    assert str(connection.connectionId) == "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10"
    folders = [synced.place for synced in catalog.streams_of(connection)]
    assert folders == [str(tmp_path / name) for name in ("flights", "weather", "airlines", "airports", "planes")]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("year: integer", "year: int", "Input should be 'integer'"),
        ("syncMode: incremental_append", "syncMode: sometimes", "Input should be 'full_refresh_overwrite'"),
        ("bucket: my-data-lake-landing", "pail: my-data-lake-landing", "Field required"),
        ("primaryKey: [faa]", "primaryKey: [iata]", "primaryKey has columns that are not in columns: iata"),
        ('destination_path: ""', "destination_path: ../elsewhere", "must be a folder below the lake"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, before: str, after: str, said: str) -> None:
    config = tmp_path / "airbyte.yaml"
    config.write_text(changed := TEXT.replace(before, after, 1))
    with pytest.raises(ConfigError) as error:
        load_config(config)
    lines = {int(line.split(":")[1]) for line in str(error.value).splitlines()}
    mistake = changed[: changed.index(after)].count("\n") + 1
    assert said in str(error.value)
    assert "default factory" not in str(error.value)
    assert min(abs(line - mistake) for line in lines) <= 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workspaces: [", "is not valid YAML"),
        ("", "workspaces: Field required"),
        (TEXT.replace("3a1f0c52", "aaaaaaaa", 1), "source"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "airbyte.yaml"
    config.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(config)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("sourceId: 3a1f0c52-8b6d-4e2a-b7c9-5d4e6f708192\n    destinationId", "sourceId: {}\n    destinationId"),
        ("workspaceId: 2f9c1d3e-5a7b-4c8d-9e0f-1a2b3c4d5e6f\n    configuration", "workspaceId: {}\n    configuration"),
        ("{{name: planes,", "{{name: aaaaaaaa-0000-4000-8000-000000000000,"),
    ],
)
def test_a_reference_to_nothing_is_named_with_its_line(tmp_path: Path, before: str, after: str) -> None:
    config, unknown = tmp_path / "airbyte.yaml", "aaaaaaaa-0000-4000-8000-000000000000"
    config.write_text(
        changed := TEXT.replace(before.replace("{{", "{"), after.replace("{{", "{").replace("{}", unknown), 1)
    )
    line = changed[: changed.index(unknown)].count("\n") + 1
    with pytest.raises(ConfigError, match=f"airbyte.yaml:{line}: .*{unknown}"):
        load_config(config)


def test_the_published_schema_is_the_files() -> None:
    published = (Path(__file__).parents[3] / "docs" / "airbyte-config.schema.json").read_text(encoding="utf-8")
    assert published == config_schema.text(), config_schema.__doc__


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read .*nowhere.yaml"):
        load_config(tmp_path / "nowhere.yaml")


def test_two_connections_may_not_write_the_same_folder(tmp_path: Path) -> None:
    config = tmp_path / "airbyte.yaml"
    entry = TEXT[TEXT.index("  - connectionId") :]
    config.write_text(TEXT + entry.replace("7f6b1a52", "8f6b1a52").replace("to the raw lake", "again"))
    with pytest.raises(ConfigError, match="both write"):
        Catalog(load_config(config), tmp_path)


def test_the_document_has_every_wanted_difference_from_source_s3() -> None:
    text = differences.DOCUMENT.read_text(encoding="utf-8")
    assert differences.written(text) == text

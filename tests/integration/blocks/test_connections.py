"""What a connection gives, saved or not: clients, dbt and a warehouse, or the names of the missing values."""

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.connections import Connections
from blocks.errors import ConfigurationError
from blocks.saved_blocks import main
from blocks.snowflake_warehouse import SnowflakeWarehouse
from blocks.systems import AirbyteConnection, S3Landing
from blocks.warehouse import DuckDbWarehouse
from services.airbyte.app import create_app
from services.airbyte.catalog.config_file import load_config
from services.airbyte.settings import Settings as MockSettings
from services.content import CONNECTIONS
from tests.integration.blocks.environment import SECRETS, SNOWFLAKE


def test_a_loaded_landing_block_asks_as_whom_it_was_saved_for(
    prefect_server: None, variables: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    variables(AWS_ACCESS_KEY_ID="saved", AWS_SECRET_ACCESS_KEY="hush", AWS_DEFAULT_REGION="eu-central-1")
    variables(SENSOR_QUEUE_URL="https://sqs.eu-central-1.amazonaws.com/000000000000/landing-events")
    assert main(["--name", "landing"]) == 0
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    block = S3Landing.load("landing")
    for client in (block.get_client(), block.get_queue_client()):
        signed = client.generate_presigned_url(
            "list_buckets" if client.meta.service_model.service_name == "s3" else "list_queues"
        )
        assert "Credential=saved" in signed
        assert "eu-central-1" in signed


def test_a_loaded_airbyte_block_gives_a_client_that_reads_its_connection(
    prefect_server: None, variables: Callable[..., None], serve: Callable[[Any], str], s3_url: str, tmp_path: Path
) -> None:
    (connection,) = load_config(CONNECTIONS).connections
    url = serve(
        create_app(
            MockSettings(
                lake_dir=tmp_path / "lake",
                state_dir=tmp_path / "state",
                s3_endpoint_url=s3_url,
                client_id="platform",
                client_secret=SecretStr(SECRETS["AIRBYTE_CLIENT_SECRET"]),
            )
        )
    )
    variables(
        AIRBYTE_SERVER_URL=f"{url}/api/public/v1",
        AIRBYTE_CONNECTION_ID=str(connection.connectionId),
        AIRBYTE_CLIENT_ID="platform",
        AIRBYTE_CLIENT_SECRET=SECRETS["AIRBYTE_CLIENT_SECRET"],
    )
    assert main(["--name", "airbyte"]) == 0
    block = AirbyteConnection.load("airbyte")
    with block.get_client() as client:
        assert client.connection(block.connection_id).name == connection.name


def test_dbt_gets_its_files_as_absolute_paths_and_a_folder_for_the_warehouse(
    variables: Callable[..., None], tmp_path: Path
) -> None:
    variables(LAKE_DIR="lake", WAREHOUSE_PATH="new/w.duckdb", FRESHNESS_THRESHOLD_HOURS="7")
    dbt = Connections(None).dbt()
    assert dbt.variables == {
        "LAKE_DIR": str(tmp_path / "lake"),
        "WAREHOUSE_PATH": str(tmp_path / "new" / "w.duckdb"),
        "FRESHNESS_THRESHOLD_HOURS": "7",
    }
    assert (dbt.target, dbt.project_dir, (tmp_path / "new").is_dir()) == ("dev", Path("dbt_project"), True)


def test_dbts_target_decides_which_warehouse_there_is(variables: Callable[..., None]) -> None:
    local = Connections(None).warehouse()
    assert isinstance(local, DuckDbWarehouse)
    assert local.published == Path("data/published/warehouse.duckdb")
    variables(**SNOWFLAKE, DBT_TARGET="snowflake")
    remote = Connections(None).warehouse()
    assert isinstance(remote, SnowflakeWarehouse)
    assert Connections(None).dbt().variables.items() >= SNOWFLAKE.items()


@pytest.mark.parametrize(
    "ask", [Connections.dbt, Connections.warehouse, attrgetter("snowflake")], ids=["dbt", "warehouse", "snowflake"]
)
def test_snowflake_with_values_missing_names_them_all(
    variables: Callable[..., None], ask: Callable[[Connections], object]
) -> None:
    variables(DBT_TARGET="snowflake", SNOWFLAKE_ACCOUNT="org-account", SNOWFLAKE_ROLE="LOADER")
    with pytest.raises(ConfigurationError) as caught:
        ask(Connections(None))
    missing = str(caught.value).partition("missing: ")[2].partition(". Set them")[0]
    assert missing == (
        "SNOWFLAKE_USER, SNOWFLAKE_DATABASE, SNOWFLAKE_SCHEMA, SNOWFLAKE_WAREHOUSE, "
        "SNOWFLAKE_PASSWORD (or SNOWFLAKE_PRIVATE_KEY, SNOWFLAKE_PRIVATE_KEY_PATH or SNOWFLAKE_OAUTH_TOKEN)"
    )


@pytest.mark.parametrize("name", SNOWFLAKE)
def test_any_one_value_that_is_missing_is_named(
    variables: Callable[..., None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables(**SNOWFLAKE)
    monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=f"these are missing: {name}[. ]"):
        _ = Connections(None).snowflake

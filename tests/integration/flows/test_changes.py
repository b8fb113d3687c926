"""A source that sends changes, as Airbyte's sources for databases do (CDC): deletions, new keys, late changes."""

import shutil
from pathlib import Path

import httpx
import pytest

from blocks.airbyte.errors import SyncFailed
from blocks.landing import LandedFile
from commands.embedded.stack import CONNECTION_ID
from flows.airbyte_sync import airbyte_sync
from flows.dbt_transform import dbt_transform
from flows.full_pipeline import check_arrival
from services.content import PROJECT
from tests.integration.flows.conftest import refresh
from tests.integration.flows.modes import DEFAULT, ON_IT, ON_SNOWFLAKE, Mode
from tests.integration.flows.platform import Platform

COLUMNS = {"id": "bigint", "item": "varchar", "_ab_cdc_updated_at": "timestamptz", "_ab_cdc_deleted_at": "timestamptz"}
SOURCE = "\n      - name: orders\n        columns:\n" + "".join(
    f"          - {{name: {name}, data_type: {type_}}}\n" for name, type_ in COLUMNS.items()
)
STAGING = f"""
with source as (
    {{{{ typed(source('raw', 'orders'), {COLUMNS}) }}}}
)

select id, item, _airbyte_raw_id
from source
{{{{ of_newest_files(source('raw', 'orders')) }}}}
{{{{ newest_version(['id'], changes=true) }}}}
"""
MART = """
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='id',
    post_hook="{{ forget_absent(ref('stg_orders')) }}",
) }}

select * from {{ ref('stg_orders') }}
"""
HEADER = "id,item,_ab_cdc_updated_at,_ab_cdc_deleted_at"
APPEND, DEDUP = "incremental_append", "incremental_deduped_history"


class Orders:
    """A stream of changes with a connection of its own, and the mart that is built from it."""

    def __init__(self, platform: Platform, sync_mode: str, deletions: str) -> None:
        self._platform = platform
        with httpx.Client(base_url=platform.airbyte, timeout=60) as http:
            first = http.get(f"/connections/{CONNECTION_ID}").raise_for_status().json()
            source, destination = first["sourceId"], first["destinationId"]
            known = http.get(f"/sources/{source}").json()["configuration"]["streams"]
            stream = {"name": "orders", "primaryKey": ["id"]}
            body = {"configuration": {"streams": [*known, stream]}}
            http.patch(f"/sources/{source}", json=body).raise_for_status()
            if deletions:
                body = {"configuration": {"cdc_deletion_mode": deletions}}
                http.patch(f"/destinations/{destination}", json=body).raise_for_status()
            streams = {"streams": [{"name": "orders", "syncMode": sync_mode}]}
            body = {"name": "orders", "sourceId": source, "destinationId": destination, "configurations": streams}
            self.connection = str(http.post("/connections", json=body).raise_for_status().json()["connectionId"])

    def put(self, name: str, *rows: str, header: str = HEADER) -> str:
        return self._platform.put(f"orders/{name}.csv", "\n".join([header, *rows]) + "\n")

    def change(self, **fields: str) -> None:
        url = f"{self._platform.airbyte}/connections/{self.connection}"
        httpx.patch(url, json=fields, timeout=60).raise_for_status()

    def clear(self) -> None:
        body = {"connectionId": self.connection, "jobType": "clear"}
        httpx.post(f"{self._platform.airbyte}/jobs", json=body, timeout=60).raise_for_status()

    def load(self) -> list[tuple[object, ...]]:
        """Sync, build, and return the rows of the mart."""
        airbyte_sync([self.connection])
        return self.build()

    def build(self) -> list[tuple[object, ...]]:
        dbt_transform(select="stg_orders+")
        return self._platform.query("select id, item from fct_orders order by id")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(
        PROJECT / "dbt_project", tmp_path / "project", ignore=shutil.ignore_patterns("target", "logs")
    )
    with (folder / "models" / "staging" / "sources.yml").open("a") as sources:
        sources.write(SOURCE)
    (folder / "models" / "staging" / "stg_orders.sql").write_text(STAGING)
    (folder / "models" / "marts" / "fct_orders.sql").write_text(MART)
    monkeypatch.setenv("DBT_PROJECT_DIR", str(folder))
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))


@pytest.fixture
def orders(platform: Platform, project: None, sync_mode: str, deletions: str) -> Orders:
    return Orders(platform, sync_mode, deletions)


@pytest.mark.parametrize(
    ("mode", "sync_mode", "deletions"),
    [
        pytest.param(DEFAULT, APPEND, "", id="DuckDB"),
        pytest.param(ON_SNOWFLAKE, DEDUP, "Hard delete", id="Snowflake, hard delete", marks=ON_IT),
        pytest.param(ON_SNOWFLAKE, DEDUP, "Soft delete", id="Snowflake, soft delete", marks=ON_IT),
        pytest.param(ON_SNOWFLAKE, APPEND, "", id="Snowflake, append", marks=ON_IT),
    ],
    indirect=["mode"],
)
def test_marts_are_right_after_each_change_that_a_database_sends(
    platform: Platform, orders: Orders, mode: Mode, sync_mode: str, deletions: str
) -> None:
    orders.put("1", "1,ant,2026-01-01T00:00:00Z,", "2,bee,2026-01-01T00:00:00Z,", "3,cow,2026-01-01T00:00:00Z,")
    assert orders.load() == [(1, "ant"), (2, "bee"), (3, "cow")]
    at = "2026-01-03T00:00:00Z"
    orders.put("2", f"1,ape,{at},", f"2,,{at},{at}", f"3,,{at},{at}", f"4,cow,{at},")
    assert orders.load() == [(1, "ape"), (4, "cow")], "a row is deleted, and a key has changed"
    in_raw = {APPEND: 7, DEDUP: 2 if deletions == "Hard delete" else 4}
    assert platform.raw_rows("orders") == in_raw[sync_mode]

    orders.put("3", "1,late,2026-01-02T00:00:00Z,")
    assert orders.load() == [(1, "ape"), (4, "cow")], "a change that comes late is not the newest"
    refresh(platform, orders.connection, "orders")
    assert orders.build() == [(1, "ape"), (4, "cow")], "a refresh reads the same changes"
    orders.clear()
    assert orders.load() == [(1, "ape"), (4, "cow")], "a resync begins with an empty table"

    orders.change(nonBreakingSchemaUpdatesBehavior="disable_connection")
    key = orders.put("4", f"5,dog,{at},,7", header=f"{HEADER},price")
    with pytest.raises(SyncFailed, match="cancelled"):
        airbyte_sync([orders.connection])
    assert orders.build() == [(1, "ape"), (4, "cow")], "a new column waits for a person"
    orders.change(status="active")
    assert orders.load() == [(1, "ape"), (4, "cow"), (5, "dog")]
    assert [
        str(price) for (price,) in platform.built(f"select price from {platform.raw('orders')} where item = 'dog'")
    ] == ["7"]

    at = "2026-01-04T00:00:00Z"
    orders.put("5", f"5,,{at},{at}")
    syncs = airbyte_sync([orders.connection])
    assert orders.build() == [(1, "ape"), (4, "cow")]
    batch = [LandedFile(key=key), LandedFile(key=key.replace("4.csv", "5.csv"))]
    ignored, _, absent = check_arrival(batch, syncs)
    assert absent == [], "a file that only deletes need not have rows in raw"
    assert bool(ignored) == (sync_mode == DEDUP)

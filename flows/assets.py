"""Report raw streams, models and the published tables to Prefect as assets, with their upstreams, for its lineage.

One task builds many tables, and each table has its own parents. `@materialize` gives all assets of a task the same
upstreams. So each asset gets its own context here, which emits the same events as `@materialize`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from prefect.artifacts import create_link_artifact
from prefect.assets import Asset
from prefect.context import AssetContext
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.types.names import MAX_ASSET_KEY_LENGTH, RESTRICTED_ASSET_CHARACTERS

from blocks import connections
from blocks.airbyte.api import SyncResult
from blocks.dbt.results import DbtNode
from blocks.settings import console_url

BUILT = ("model", "seed", "snapshot")
RESTRICTED = re.compile(f"[{re.escape(''.join(RESTRICTED_ASSET_CHARACTERS))}]")


def asset(key: str) -> Asset:
    """Return the asset for a key. Characters that Prefect rejects, such as those of a folder's name, become _."""
    return Asset(key=RESTRICTED.sub("_", key)[:MAX_ASSET_KEY_LENGTH])


def report_materialized(key: str, upstream: Iterable[str], by: str, facts: Mapping[str, Any]) -> None:
    """Report to Prefect that an asset was materialized."""
    materialized = asset(key)
    context = AssetContext(
        downstream_assets={materialized},
        direct_asset_dependencies={asset(each) for each in upstream},
        materialized_by=by,
        materialization_metadata={materialized.key: dict(facts)},
    )
    context.emit_events(Completed())


def report_loaded_streams(syncs: Iterable[SyncResult]) -> None:
    """Report each stream that has new rows. Its upstream is the stream's folder in the landing bucket."""
    names, landing = connections.names(), connections.current().landing
    for sync in syncs:
        for stream in sync.streams:
            if stream.rows:
                source = f"s3://{landing.bucket}/{landing.prefix}{stream.name}"
                facts = {"rows": stream.rows, "bytes": stream.bytes, "job": sync.job_id}
                report_materialized(names.asset("raw", f"{sync.prefix}{stream.name}"), [source], "airbyte", facts)


def report_built_models(nodes: Iterable[DbtNode]) -> None:
    """Report each table and view that dbt built. Its upstreams are its parents."""
    for node in nodes:
        if node.resource_type in BUILT and node.status == "success":
            upstream = [_asset(each) for each in node.parents]
            report_materialized(_asset(node.id), upstream, "dbt", {"seconds": node.seconds})


def report_published(nodes: Iterable[DbtNode], tables: Iterable[str]) -> None:
    """Report the publication. Its upstreams are the published tables that this run built."""
    names = {table.rpartition(".")[2].lower() for table in tables}
    upstream = [_asset(node.id) for node in nodes if node.resource_type in BUILT and node.name.lower() in names]
    report_materialized(connections.names().asset("published", "tables"), upstream, "dbt", {"tables": len(names)})


def _asset(id_: str) -> str:
    """Return the asset's key of a dbt node. A source has the key of the stream that Airbyte loads."""
    kind, _, name = id_.split(".", 2)
    layer = "raw" if kind == "source" else "dbt"
    return connections.names().asset(layer, name.rpartition(".")[2])


def link_to_page() -> None:
    """Link a run to the platform's page and dbt's docs if CONSOLE_URL is set. Subflow runs get no links."""
    if (page := console_url()) and not flow_run.parent_flow_run_id:
        names = connections.names()
        create_link_artifact(page, "State of the platform", key=names.artifact("page"))
        create_link_artifact(f"{page}/ready-made/docs", "The models' docs", key=names.artifact("docs"))
        create_link_artifact(f"{page}/ready-made/lineage", "The columns' lineage", key=names.artifact("lineage"))

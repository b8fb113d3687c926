"""Prefect's assets: raw streams, models and the publication, with what each was made of, for Prefect's own lineage.

One task makes many tables, each of its own parents. `@materialize` gives all assets of a task the same upstream, so
each asset has a context of its own here, which sends the events that `@materialize` sends.
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
    """Return the asset of a key; what Prefect does not take in one, as a folder's name may have it, becomes _."""
    return Asset(key=RESTRICTED.sub("_", key)[:MAX_ASSET_KEY_LENGTH])


def materialized(key: str, upstream: Iterable[str], by: str, facts: Mapping[str, Any]) -> None:
    """Tell Prefect that an asset was made."""
    made = asset(key)
    context = AssetContext(
        downstream_assets={made},
        direct_asset_dependencies={asset(each) for each in upstream},
        materialized_by=by,
        materialization_metadata={made.key: dict(facts)},
    )
    context.emit_events(Completed())


def raw_loaded(syncs: Iterable[SyncResult], profile: str | None) -> None:
    """Tell of each stream that a sync has moved rows of: it is made of the stream's folder of the landing bucket."""
    names, landing = connections.names(), connections.landing(profile)
    for sync in syncs:
        for stream in sync.streams:
            if stream.rows:
                source = f"s3://{landing.bucket}/{landing.prefix}{stream.name}"
                facts = {"rows": stream.rows, "bytes": stream.bytes, "job": sync.job_id}
                materialized(names.asset("raw", f"{sync.prefix}{stream.name}"), [source], "airbyte", facts)


def models_built(nodes: Iterable[DbtNode]) -> None:
    """Tell of each table and view that dbt has built: it is made of its parents."""
    for node in nodes:
        if node.resource_type in BUILT and node.status == "success":
            upstream = [_asset(each) for each in node.parents]
            materialized(_asset(node.id), upstream, "dbt", {"seconds": node.seconds})


def published(nodes: Iterable[DbtNode], tables: Iterable[str]) -> None:
    """Tell of the publication: it is made of those of the tables that were built for it."""
    names = {table.rpartition(".")[2].lower() for table in tables}
    made = [_asset(node.id) for node in nodes if node.resource_type in BUILT and node.name.lower() in names]
    materialized(connections.names().asset("published", "tables"), made, "dbt", {"tables": len(names)})


def _asset(id_: str) -> str:
    """The key of a node of dbt's; of a source, that of the stream that Airbyte loads."""
    kind, _, name = id_.split(".", 2)
    layer = "raw" if kind == "source" else "dbt"
    return connections.names().asset(layer, name.rpartition(".")[2])


def link_to_page() -> None:
    """Link a run to the platform's page and dbt's docs, where CONSOLE_URL says where they are; not a run within it."""
    if (page := console_url()) and not flow_run.parent_flow_run_id:
        names = connections.names()
        create_link_artifact(page, "How the platform is", key=names.artifact("page"))
        create_link_artifact(f"{page}/ready-made/docs", "The models' docs", key=names.artifact("docs"))
        create_link_artifact(f"{page}/ready-made/lineage", "The columns' lineage", key=names.artifact("lineage"))

"""Check Airbyte: the server, the credentials, the connections, and whether dbt reads the same streams."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from blocks.airbyte.errors import AirbyteError, AirbyteForbidden, AirbyteUnauthorised, UnknownConnection
from blocks.systems import AirbyteConnection
from commands.doctor.finding import Finding

PARTS = ("airbyte answers", "airbyte credentials", "airbyte connection")
SETTINGS = "AIRBYTE_CONNECTION_ID and AIRBYTE_CONNECTION_IDS"


def airbyte(block: AirbyteConnection, project: Path) -> Iterable[Finding]:
    """Look up the connections. If that fails, the error shows which parts before it work."""
    with block.get_client() as client:
        try:
            found = [client.connection(each) for each in block.connections]
        except AirbyteError as error:
            yield from _until(error)
            return
    said = (block.server_url, "accepted" if block.client_id else "none required")
    for name, text in zip(PARTS, said, strict=False):
        yield Finding(name, "ok", text)
    for each in found:
        if each.status == "active":
            yield Finding(PARTS[-1], "ok", each.name)
        else:
            fix = f"Enable it in Airbyte, or set {SETTINGS} to other connections."
            yield Finding(PARTS[-1], "fail", f"{each.name} is {each.status}", fix)
    yield from streams({name for each in found for name in each.streams}, set(sources(project)))


def _until(error: AirbyteError) -> Iterator[Finding]:
    if isinstance(error, UnknownConnection):
        failed, fix = 2, f"Set {SETTINGS} to the UUIDs in the connections' URLs in Airbyte."
    elif isinstance(error, AirbyteForbidden):
        failed, fix = 2, f"Give the application's user the role Runner in the workspace of {SETTINGS}."
    elif isinstance(error, AirbyteUnauthorised):
        failed, fix = 1, "Set AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET to those of an application of this Airbyte."
    else:
        failed, fix = 0, "Check that Airbyte runs, and that AIRBYTE_SERVER_URL is the base URL of its public API."
    for name in PARTS[:failed]:
        yield Finding(name, "ok", "yes")
    yield Finding(PARTS[failed], "fail", str(error), fix)


def streams(synced: set[str], read: set[str]) -> Iterator[Finding]:
    """Compare what the connection syncs with what the dbt project reads."""
    if missing := read - synced:
        fix = "Enable these streams in their connection, or remove them from the dbt sources."
        yield Finding("airbyte streams", "fail", f"dbt reads {_list(missing)}, which no connection syncs", fix)
    if unread := synced - read:
        fix = "Add them to dbt_project/models/staging/sources.yml, or disable them in Airbyte."
        yield Finding("airbyte streams", "warn", f"Airbyte syncs {_list(unread)}, which dbt does not read", fix)
    if synced == read:
        yield Finding("airbyte streams", "ok", f"{_list(read)}: the same as dbt's sources")


def sources(project: Path) -> dict[str, dict[str, str]]:
    """Return the tables of the source `raw` in a dbt project, each with the types of its declared columns."""
    files = [yaml.safe_load(file.read_text()) or {} for file in project.glob("models/**/*.yml")]
    raw = [source for file in files for source in file.get("sources", []) if source["name"] == "raw"]
    return {
        table["name"]: {_raw_name(each).lower(): each.get("data_type", "") for each in table.get("columns", [])}
        for source in raw
        for table in source["tables"]
    }


def _raw_name(column: dict[str, Any]) -> str:
    """Return a column's name in raw. Its `meta` has the name if SQL must quote it."""
    meta = column.get("config", {}).get("meta", {})
    return str(meta.get("column", column["name"]))


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))

"""Airbyte: the server, the credentials, the connection, and whether its streams are those that dbt reads."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from blocks.airbyte.api import Connection
from blocks.airbyte.client import AirbyteClient
from blocks.airbyte.errors import AirbyteError, AirbyteForbidden, AirbyteUnauthorised, UnknownConnection
from blocks.systems import AirbyteConnection
from services.doctor.finding import Finding

PARTS = ("airbyte answers", "airbyte credentials", "airbyte connection")


def airbyte(block: AirbyteConnection, project: Path) -> Iterable[Finding]:
    """Look up the connection; of a failure, everything up to it is well."""
    with block.get_client() as client:
        try:
            connection = _connection(client, block.connection_id)
        except AirbyteError as error:
            yield from _until(error)
            return
    said = (block.server_url, "accepted" if block.client_id else "none asked for", connection.name)
    for name, text in zip(PARTS, said, strict=True):
        yield Finding(name, "ok", text)
    if connection.status != "active":
        fix = "Switch it on in Airbyte, or set AIRBYTE_CONNECTION_ID to another."
        yield Finding("airbyte connection", "fail", f"{connection.name} is {connection.status}", fix)
    yield from streams(set(connection.streams), set(sources(project)))


def _connection(client: AirbyteClient, connection_id: str) -> Connection:
    return client.connection(connection_id)


def _until(error: AirbyteError) -> Iterator[Finding]:
    if isinstance(error, UnknownConnection):
        failed, fix = 2, "Set AIRBYTE_CONNECTION_ID to the UUID in the connection's URL in Airbyte."
    elif isinstance(error, AirbyteForbidden):
        failed, fix = 2, "Give the application's user the role Runner in the workspace of AIRBYTE_CONNECTION_ID."
    elif isinstance(error, AirbyteUnauthorised):
        failed, fix = 1, "Set AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET to those of an application of this Airbyte."
    else:
        failed, fix = 0, "Is Airbyte up, and AIRBYTE_SERVER_URL the base URL of its public API?"
    for name in PARTS[:failed]:
        yield Finding(name, "ok", "yes")
    yield Finding(PARTS[failed], "fail", str(error), fix)


def streams(synced: set[str], read: set[str]) -> Iterator[Finding]:
    """Compare what the connection syncs with what the dbt project reads."""
    if missing := read - synced:
        fix = "Switch these streams on in the connection, or remove them from the dbt sources."
        yield Finding("airbyte streams", "fail", f"dbt reads {_list(missing)}, which the connection does not sync", fix)
    if unread := synced - read:
        fix = "Name them in dbt_project/models/staging/sources.yml, or switch them off."
        yield Finding("airbyte streams", "warn", f"the connection syncs {_list(unread)}, which dbt does not read", fix)
    if synced == read:
        yield Finding("airbyte streams", "ok", f"{_list(read)}: the same as dbt's sources")


def sources(project: Path) -> dict[str, dict[str, str]]:
    """The tables of the source `raw` in a dbt project, each with the types of the columns that are declared."""
    files = [yaml.safe_load(file.read_text()) or {} for file in project.glob("models/**/*.yml")]
    raw = [source for file in files for source in file.get("sources", []) if source["name"] == "raw"]
    return {
        table["name"]: {each["name"].lower(): each.get("data_type", "") for each in table.get("columns", [])}
        for source in raw
        for table in source["tables"]
    }


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))

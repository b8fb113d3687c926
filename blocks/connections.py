"""Where flows get their connections: from a profile's saved blocks, or from the environment.

`python -m blocks.connections --name production` saves the environment's blocks: see blocks/saved_blocks.py.
"""

import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar

import httpx
from prefect import get_client
from prefect.blocks.webhook import Webhook
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL
from prefect.types import SecretDict
from pydantic import SecretStr, ValidationError

from blocks.dbt.project import Dbt
from blocks.duckdb_file import DuckDbLedger
from blocks.errors import ConfigurationError, PlatformError
from blocks.host import plain_path
from blocks.ledger import Ledger
from blocks.names import RAW_SCHEMA, Names, alerts_block, heartbeat_block
from blocks.settings import Settings
from blocks.snowflake_ledger import SnowflakeLedger
from blocks.snowflake_warehouse import SnowflakeWarehouse
from blocks.systems import (
    NONE,
    AirbyteConnection,
    DbtConfig,
    S3Landing,
    SnowflakeConnection,
    airbyte_from,
    dbt_from,
    landing_from,
    snowflake_from,
)
from blocks.warehouse import DuckDbWarehouse, Warehouse

if __name__ == "__main__":  # run by its module's name, or Prefect would register each block type twice
    runpy.run_module("blocks.saved_blocks", run_name="__main__")
    sys.exit()

Connection: TypeAlias = S3Landing | AirbyteConnection | SnowflakeConnection | DbtConfig
Kind = TypeVar("Kind", bound=Connection)


class Connections:
    """The external systems, from a profile's saved blocks, or from the environment if no profile is named.

    Each block is loaded once, when it is first used.

    Raises:
        ConfigurationError: the block is not saved, or lacks a value.
        PlatformError: Prefect's server does not answer, or denies access.
    """

    def __init__(self, profile: str | None) -> None:
        self.profile = profile

    @cached_property
    def landing(self) -> S3Landing:
        """The landing bucket."""
        return _load(S3Landing, self.profile) if self.profile else landing_from(Settings())

    @cached_property
    def airbyte(self) -> AirbyteConnection:
        """The Airbyte server and the connections to sync."""
        return _load(AirbyteConnection, self.profile) if self.profile else airbyte_from(Settings())

    @cached_property
    def dbt_config(self) -> DbtConfig:
        """dbt's configuration."""
        return _load(DbtConfig, self.profile) if self.profile else dbt_from(Settings())

    @cached_property
    def snowflake(self) -> SnowflakeConnection:
        """The Snowflake connection, with every value that a login needs."""
        connection = _load(SnowflakeConnection, self.profile) if self.profile else snowflake_from(Settings())
        connection.check()
        return connection

    @cached_property
    def heartbeat_url(self) -> SecretStr:
        """The URL to call after a successful run; empty if none is set."""
        if not self.profile:
            return Settings().heartbeat_url
        try:
            block = Webhook.load(heartbeat_block(self.profile))
        except (ValueError, ObjectNotFound):
            return NONE
        return block.url if isinstance(block, Webhook) else NONE

    def dbt(self, log: Callable[[str], None] = print) -> Dbt:
        """Return dbt, ready to run. With target snowflake, its connection is complete."""
        config = self.dbt_config
        config.warehouse_path.parent.mkdir(parents=True, exist_ok=True)
        variables = config.variables()
        ledger: Ledger = DuckDbLedger(self._file)
        if config.target == "snowflake":
            variables = {**variables, **self.snowflake.variables()}
            ledger = SnowflakeLedger(self.snowflake.get_connection, self.snowflake.database, self.snowflake.schema_)
        return Dbt(
            config.project_dir,
            config.target,
            variables,
            log,
            warehouse=self._file,
            ledger=ledger,
            timeout_seconds=config.dbt_timeout_seconds,
            wait_seconds=config.warehouse_wait_seconds,
            engine=config.engine(),
        )

    def warehouse(self) -> Warehouse:
        """Return the warehouse that dbt's target names."""
        config = self.dbt_config
        if config.target == "snowflake":
            return SnowflakeWarehouse(
                self.snowflake.get_connection, RAW_SCHEMA, self._file, config.warehouse_wait_seconds
            )
        return DuckDbWarehouse(self._file, config.lake_dir, config.published_path, config.warehouse_wait_seconds)

    @property
    def _file(self) -> Path:
        return plain_path(self.dbt_config.warehouse_path.absolute())


_run_connections: ContextVar[Connections | None] = ContextVar("connections", default=None)


@contextmanager
def connected(profile: str | None) -> Iterator[Connections]:
    """Give a flow run, and the tasks that it calls, the connections of a profile.

    A subflow with the same profile uses the blocks that are loaded already.
    """
    outer = _run_connections.get()
    connections = outer if outer and outer.profile == profile else Connections(profile)
    token = _run_connections.set(connections)
    try:
        yield connections
    finally:
        _run_connections.reset(token)


def current() -> Connections:
    """Return the current flow run's connections; outside of a flow run, those from the environment."""
    return _run_connections.get() or Connections(None)


def blocks_from(settings: Settings) -> tuple[S3Landing, AirbyteConnection, SnowflakeConnection, DbtConfig]:
    """Create every block from the settings."""
    return landing_from(settings), airbyte_from(settings), snowflake_from(settings), dbt_from(settings)


def webhooks(settings: Settings, profile: str) -> dict[str, Webhook | None]:
    """Return a profile's Webhook blocks for alerts and the heartbeat by name; None for one without a URL.

    Prefect's server sends alerts through these blocks itself.
    """
    urls = {alerts_block(profile): ("POST", settings.alert_webhook_url)}
    urls |= {heartbeat_block(profile): ("GET", settings.heartbeat_url)}
    headers = SecretDict({"Content-Type": "application/json"})
    return {
        name: Webhook(method=method, url=url, headers=headers) if url.get_secret_value() else None
        for name, (method, url) in urls.items()
    }


def _load(kind: type[Kind], profile: str) -> Kind:
    try:
        return kind.load(profile)  # type: ignore[return-value]
    except (ValueError, ObjectNotFound) as error:
        raise ConfigurationError(
            f"No {kind.__name__} block is saved as {profile!r}, so this Prefect server has no such profile. "
            f"Save it with `python -m blocks.connections --name {profile}`, or name a saved profile: "
            f"{', '.join(profiles(kind)) or 'none yet'}."
        ) from error
    except RuntimeError as error:
        # Prefect raises a RuntimeError if a saved document fails validation.
        if not isinstance(error.__cause__, ValidationError):
            raise
        fields = ", ".join(str(each["loc"][0]) for each in error.__cause__.errors())
        raise ConfigurationError(
            f"The {kind.__name__} block saved as {profile!r} is no longer valid. Missing or wrong: {fields}. "
            f"Save it again with `python -m blocks.connections --name {profile}`."
        ) from error
    except httpx.TransportError as error:
        raise PlatformError(
            f"The blocks saved as {profile!r} cannot be read from Prefect's server: {error}. Check PREFECT_API_URL."
        ) from error
    except PrefectHTTPStatusError as error:
        if error.response.status_code not in (401, 403):
            raise
        raise PlatformError(
            f"Prefect's server denies access to the blocks saved as {profile!r}. Check PREFECT_API_AUTH_STRING, or "
            "PREFECT_API_KEY for Prefect Cloud."
        ) from error


def profiles(kind: type[Kind]) -> list[str]:
    """Return the names under which blocks of a kind are saved."""
    with get_client(sync_client=True) as client:
        try:
            documents = client.read_block_documents_by_type(kind.get_block_type_slug())
        except PrefectHTTPStatusError as error:
            if error.response.status_code == 404:
                return []
            raise
    return sorted(document.name for document in documents if document.name)


def names(profile: str | None = None) -> Names:
    """Return the names of the platform's objects on the Prefect server.

    In a deployment's run, PREFECT_NAMESPACE is set. In any other process, the namespace follows from `profile`.
    """
    return Names.of(profile or "", PREFECT_API_URL.value() or "", Settings().prefect_namespace)

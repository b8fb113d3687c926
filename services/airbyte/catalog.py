"""What exists: the resources of the config file by id, and the folders that connections write."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from services.airbyte.config import (
    Config,
    ConfigError,
    Connection,
    Destination,
    Source,
    Stream,
    StreamChoice,
    Workspace,
)


@dataclass(frozen=True)
class SyncedStream:
    """A stream of a connection: what it is, how it is synced, and the folder its Parquet files go to."""

    stream: Stream
    choice: StreamChoice
    folder: Path


class Catalog:
    def __init__(self, config: Config, lake_dir: Path) -> None:
        self.workspaces: dict[UUID, Workspace] = {w.workspaceId: w for w in config.workspaces}
        self.sources: dict[UUID, Source] = {s.sourceId: s for s in config.sources}
        self.destinations: dict[UUID, Destination] = {d.destinationId: d for d in config.destinations}
        self.connections: dict[UUID, Connection] = {c.connectionId: c for c in config.connections}
        self._lake_dir = lake_dir.absolute()
        self._check_folders()

    def workspace_of(self, connection: Connection) -> UUID:
        return self.sources[connection.sourceId].workspaceId

    def streams_of(self, connection: Connection) -> list[SyncedStream]:
        source = self.sources[connection.sourceId]
        root = self._lake_dir / self.destinations[connection.destinationId].configuration.destination_path
        choices = connection.configurations.streams or [StreamChoice(name=s.name) for s in source.configuration.streams]
        streams = [(source.stream(choice.name), choice) for choice in choices]
        return [SyncedStream(s, choice, root / f"{connection.prefix}{s.name}") for s, choice in streams if s]

    def _check_folders(self) -> None:
        """A folder has one writer, so that a reset or an overwrite removes only what its own connection wrote."""
        owners: dict[Path, str] = {}
        for connection in self.connections.values():
            for synced in self.streams_of(connection):
                if (other := owners.setdefault(synced.folder, connection.name)) != connection.name:
                    raise ConfigError(
                        f"connections {other!r} and {connection.name!r} both write {synced.folder}; "
                        "give one of them a prefix or its destination another destination_path"
                    )

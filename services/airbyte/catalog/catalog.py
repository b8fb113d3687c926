"""The mock's workspaces, sources, destinations, connections and tags by id, and where each connection writes."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast
from uuid import UUID

from services.airbyte.catalog import like_airbyte
from services.airbyte.catalog.config import (
    Config,
    Connection,
    Destination,
    Source,
    Stream,
    StreamChoice,
    Tag,
    Workspace,
)
from services.airbyte.catalog.config_file import ConfigError
from services.airbyte.catalog.stream_choices import choice_error


@dataclass(frozen=True)
class SyncedStream:
    """A stream of a connection, how it is synced, and the folder or table (`place`) it is written to."""

    stream: Stream
    choice: StreamChoice
    place: str
    like_airbyte: bool = False

    @property
    def primary_key(self) -> list[list[str]]:
        """The source's primary key takes precedence over the connection's, as in Airbyte."""
        return [[column] for column in self.stream.primaryKey] or self.choice.primaryKey or []

    @property
    def columns(self) -> dict[str, str]:
        """Return the declared columns that the connection selects; empty if the columns are inferred."""
        wanted = self.selected
        declared = types_of(self.stream, self.like_airbyte).items()
        return {name: type_ for name, type_ in declared if wanted is None or name.lower() in wanted}

    @property
    def selected(self) -> list[str] | None:
        """Return the names of the selected columns in lower case; None means all."""
        if not self.choice.selectedFields:
            return None
        return [field.fieldPath[0].lower() for field in self.choice.selectedFields]


def types_of(stream: Stream, like: bool) -> dict[str, str]:
    """Return the types of a stream's declared columns; with `like`, those that Airbyte's source-s3 gives them."""
    if like:
        return like_airbyte.declared_types(stream)
    return {name: type_.value for name, type_ in stream.columns.items()}


Resource = Workspace | Source | Destination | Connection | Tag
KINDS: dict[str, type[Resource]] = {
    "workspace": Workspace,
    "source": Source,
    "destination": Destination,
    "connection": Connection,
    "tag": Tag,
}


def id_of(kind: str, resource: Resource) -> UUID:
    id_: UUID = getattr(resource, f"{kind}Id")
    return id_


class Catalog:
    """`by_kind` maps each kind to its resources by id, `deleted` to its deleted resources by id."""

    def __init__(self, config: Config, lake_dir: Path, like_airbyte: bool = False) -> None:
        self._like_airbyte = like_airbyte
        self.workspaces: dict[UUID, Workspace] = {w.workspaceId: w for w in config.workspaces}
        self.sources: dict[UUID, Source] = {s.sourceId: s for s in config.sources}
        self.destinations: dict[UUID, Destination] = {d.destinationId: d for d in config.destinations}
        self.connections: dict[UUID, Connection] = {c.connectionId: c for c in config.connections}
        self.tags: dict[UUID, Tag] = {t.tagId: t for t in config.tags}
        all_kinds = (self.workspaces, self.sources, self.destinations, self.connections, self.tags)
        self.by_kind = dict(zip(KINDS, cast(tuple[dict[UUID, Resource], ...], all_kinds), strict=True))
        self.deleted: dict[str, dict[UUID, Resource]] = {kind: {} for kind in KINDS}
        self._lake_dir = lake_dir.absolute()
        self.check_folders()

    def replace_all(self, other: "Catalog") -> None:
        """Replace this catalog's resources by another catalog's."""
        for kind in KINDS:
            for own, others in ((self.by_kind, other.by_kind), (self.deleted, other.deleted)):
                own[kind].clear()
                own[kind].update(others[kind])

    def put(self, kind: str, resource: Resource) -> None:
        self.by_kind[kind][id_of(kind, resource)] = resource

    def delete(self, kind: str, resource: Resource) -> None:
        self.by_kind[kind].pop(id_ := id_of(kind, resource), None)
        self.deleted[kind][id_] = resource

    def workspace_id(self, resource: Resource) -> UUID:
        return self.workspace_of(resource) if isinstance(resource, Connection) else resource.workspaceId

    def connections_of(self, workspace_ids: list[UUID]) -> list[UUID]:
        """Return the ids of all connections of these workspaces. Deleted ones are included, since their jobs stay."""
        known = [*self.connections.values(), *cast(dict[UUID, Connection], self.deleted["connection"]).values()]
        return [c.connectionId for c in known if self.workspace_of(c) in workspace_ids]

    def workspace_of(self, connection: Connection) -> UUID:
        return self.source_of(connection).workspaceId

    def source_of(self, connection: Connection) -> Source:
        """Return the connection's source even if it is deleted: GET /connections can list deleted connections."""
        return cast(Source, self.by_kind["source"].get(id_ := connection.sourceId) or self.deleted["source"][id_])

    def destination_of(self, connection: Connection) -> Destination:
        id_ = connection.destinationId
        return cast(Destination, self.by_kind["destination"].get(id_) or self.deleted["destination"][id_])

    def streams_of(self, connection: Connection) -> list[SyncedStream]:
        source = self.source_of(connection)
        destination = self.destination_of(connection).configuration
        choices = connection.configurations.streams or [StreamChoice(name=s.name) for s in source.configuration.streams]
        streams = [(source.stream(choice.name), choice) for choice in choices]
        place = partial(destination.place, self._lake_dir)
        like = self._like_airbyte
        return [SyncedStream(s, choice, place(f"{connection.prefix}{s.name}"), like) for s, choice in streams if s]

    def check_folders(self) -> None:
        """Check that only one connection writes to each place: a reset or an overwrite removes all rows of a place.

        Raises:
            ConfigError: two connections write to one place, or a stream's choices contradict each other.
        """
        owners: dict[str, str] = {}
        for connection in self.connections.values():
            for synced in self.streams_of(connection):
                if error := choice_error(synced.choice, synced.stream, self.destination_of(connection)):
                    raise ConfigError(f"{connection.name!r}: {error}")
                if (other := owners.setdefault(synced.place, connection.name)) != connection.name:
                    raise ConfigError(
                        f"The connections {other!r} and {connection.name!r} both write to {synced.place}. "
                        "Give one of them a prefix, or give its destination another destination_path or schema."
                    )

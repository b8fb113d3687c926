"""The config file that declares workspaces, sources, destinations and connections, with the public API's names."""

from collections import Counter
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.airbyte.catalog.destination_config import (
    DEFINITIONS,
    DestinationConfiguration,
    LakeConfiguration,
)
from services.airbyte.faults import FaultKind, FaultRequest
from services.airbyte.formats.settings import Format, check_filetype


class ColumnType(StrEnum):
    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp_with_timezone"
    TIMESTAMP_LOCAL = "timestamp_without_timezone"
    DATE = "date"
    OBJECT = "object"
    ARRAY = "array"
    UNION = "union"


class SyncMode(StrEnum):
    FULL_REFRESH_OVERWRITE = "full_refresh_overwrite"
    FULL_REFRESH_APPEND = "full_refresh_append"
    INCREMENTAL_APPEND = "incremental_append"
    INCREMENTAL_DEDUPED_HISTORY = "incremental_deduped_history"


LONGEST = 100  # prefix + stream is the name of a folder or a table, and those have at most 255 characters
CREATED_AT = 1_767_225_600  # 2026-01-01 in epoch seconds, the default for resources without a date in the file
SchemaUpdates = Literal["ignore", "disable_connection", "propagate_columns", "propagate_fully"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Email(_Entry):
    enabled: bool | None = None


class Webhook(Email):
    url: str | None = None


class Notification(_Entry):
    email: Email | None = None
    webhook: Webhook | None = None


class Notifications(_Entry):
    """Who is notified of which events. The API returns this, but the mock sends no notifications."""

    failure: Notification | None = None
    success: Notification | None = None
    connectionUpdate: Notification | None = None
    connectionUpdateActionRequired: Notification | None = None
    syncDisabled: Notification | None = None
    syncDisabledWarning: Notification | None = None


class Workspace(_Entry):
    workspaceId: UUID
    name: str
    dataResidency: str = "auto"
    notifications: Notifications = Notifications()


class Tag(_Entry):
    """`color` is six hexadecimal digits without #, as in Airbyte's UI: FF69B4."""

    tagId: UUID
    name: str = Field(min_length=1)
    color: str = Field(pattern=r"^[0-9A-Fa-f]{6}$")
    workspaceId: UUID


class Stream(_Entry):
    """Files of the bucket and the columns that they should have. By default, the columns are inferred.

    The files are those below `prefix` that match one of `globs` (source-s3's syntax: `*`, `**`, `?`, `[0-9]`, `|`). By
    default, all files in the folder `<name>/` match. `format` says how to read them; by default, their suffix does.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=LONGEST)
    globs: list[str] = []
    format: Annotated[Format, Field(discriminator="filetype"), BeforeValidator(check_filetype)] | None = None
    primaryKey: list[str] = []
    columns: dict[str, ColumnType] = {}

    @model_validator(mode="after")
    def _key_is_declared(self) -> "Stream":
        missing = [column for column in self.primaryKey if column not in self.columns]
        if self.columns and missing:
            raise ValueError(f"primaryKey has columns that are not in columns: {', '.join(missing)}")
        return self


class S3Configuration(_Entry):
    sourceType: Literal["s3"] = "s3"
    bucket: str
    prefix: str = ""
    streams: list[Stream]


class Source(_Entry):
    sourceId: UUID
    name: str
    workspaceId: UUID
    configuration: S3Configuration
    createdAt: int = CREATED_AT
    definitionId: UUID = UUID("69589781-7828-43c5-9f63-8925b1c1ccc2")  # source-s3 in Airbyte's connector registry

    def stream(self, name: str) -> Stream | None:
        return next((stream for stream in self.configuration.streams if stream.name == name), None)


def definition(fields: dict[str, Any]) -> UUID:
    return DEFINITIONS[getattr(fields.get("configuration"), "destinationType", "duckdb")]


class Destination(_Entry):
    destinationId: UUID
    name: str
    workspaceId: UUID
    configuration: DestinationConfiguration = LakeConfiguration()
    createdAt: int = CREATED_AT
    definitionId: UUID = Field(default_factory=definition)

    @property
    def syncModes(self) -> list[SyncMode]:
        """Return the sync modes that the destination supports. The lake cannot remove single rows to deduplicate."""
        lake = isinstance(self.configuration, LakeConfiguration)
        return [mode for mode in SyncMode if not (lake and mode is SyncMode.INCREMENTAL_DEDUPED_HISTORY)]


class SelectedField(_Entry):
    fieldPath: list[str]


class StreamChoice(_Entry):
    """How a connection syncs a stream. The API returns the fields after `selectedFields`, but they have no effect."""

    name: str
    syncMode: SyncMode = SyncMode.FULL_REFRESH_OVERWRITE
    cursorField: list[str] | None = None
    primaryKey: list[list[str]] | None = None
    selectedFields: list[SelectedField] | None = None
    mappers: list[dict[str, Any]] | None = None
    namespace: str | None = None
    includeFiles: bool | None = None
    destinationObjectName: str | None = None


class StreamChoices(_Entry):
    streams: list[StreamChoice] = []


class Schedule(_Entry):
    """When a connection syncs. The API returns it, but the mock starts no sync by itself.

    `cronExpression` is Quartz cron: seconds come first; a year and a time zone may follow.
    """

    scheduleType: Literal["manual", "cron", "basic"] = "manual"
    cronExpression: str | None = Field(default=None, pattern=r"^\S+( \S+){5,7}$")
    basicTiming: str | None = None

    @model_validator(mode="after")
    def _cron_has_an_expression(self) -> "Schedule":
        if (self.scheduleType == "cron") != (self.cronExpression is not None):
            raise ValueError("scheduleType cron needs a cronExpression, and the other types allow none")
        return self


class Connection(_Entry):
    """By default, every stream is synced with full_refresh_overwrite, as in the public API."""

    connectionId: UUID
    name: str
    sourceId: UUID
    destinationId: UUID
    status: Literal["active", "inactive", "deprecated", "locked"] = "active"
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_]*$", max_length=LONGEST)
    configurations: StreamChoices = StreamChoices()
    schedule: Schedule = Schedule()
    tags: list[UUID] = []
    namespaceDefinition: Literal["source", "destination", "custom_format"] = "destination"
    namespaceFormat: str | None = None
    nonBreakingSchemaUpdatesBehavior: SchemaUpdates = "propagate_columns"
    createdAt: int = CREATED_AT


class Config(_Entry):
    workspaces: list[Workspace] = Field(min_length=1)
    sources: list[Source] = []
    destinations: list[Destination] = []
    connections: list[Connection] = []
    tags: list[Tag] = []
    faultSets: dict[str, list[FaultRequest]] = {}

    @model_validator(mode="after")
    def _references_hold(self) -> "Config":
        workspaces = {w.workspaceId for w in self.workspaces}
        sources = {s.sourceId: s for s in self.sources}
        destinations = {d.destinationId for d in self.destinations}
        tags = {t.tagId for t in self.tags}
        actors = [(t.name, t.workspaceId) for t in self.tags] + [(s.name, s.workspaceId) for s in self.sources]
        actors += [(d.name, d.workspaceId) for d in self.destinations]
        for name, workspace_id in actors:
            if workspace_id not in workspaces:
                raise ValueError(f"{name!r}: there is no workspace {workspace_id}")
        for connection in self.connections:
            if connection.sourceId not in sources:
                raise ValueError(f"{connection.name!r}: there is no source {connection.sourceId}")
            if connection.destinationId not in destinations:
                raise ValueError(f"{connection.name!r}: there is no destination {connection.destinationId}")
            if missing := [str(tag) for tag in connection.tags if tag not in tags]:
                raise ValueError(f"{connection.name!r}: there is no tag {', '.join(missing)}")
            for choice in connection.configurations.streams:
                if sources[connection.sourceId].stream(choice.name) is None:
                    raise ValueError(f"{connection.name!r}: its source has no stream {choice.name!r}")
        return self

    @model_validator(mode="after")
    def _sets_can_begin_at_the_start(self) -> "Config":
        if names := [n for n, faults in self.faultSets.items() if any(f.kind is FaultKind.REFUSE for f in faults)]:
            raise ValueError(f"fault sets cannot contain refuse, which acts when it is added: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Config":
        ids = [w.workspaceId for w in self.workspaces] + [s.sourceId for s in self.sources]
        ids += (
            [t.tagId for t in self.tags]
            + [d.destinationId for d in self.destinations]
            + [c.connectionId for c in self.connections]
        )
        if twice := [str(id_) for id_, count in Counter(ids).items() if count > 1]:
            raise ValueError(f"ids must be unique, but these occur more than once: {', '.join(twice)}")
        return self

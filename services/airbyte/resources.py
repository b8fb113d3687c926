"""Create, change and delete resources: check them, update the catalog, and save them in the store."""

import logging
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError

from services.airbyte import problems
from services.airbyte.catalog.catalog import KINDS, Catalog, Resource, id_of
from services.airbyte.catalog.config import Connection, Destination, Source, StreamChoice, Tag, Workspace
from services.airbyte.catalog.config_file import ConfigError, relevant_errors
from services.airbyte.catalog.destination_config import REVEAL, restore_secrets
from services.airbyte.catalog.stream_choices import choice_error
from services.airbyte.jobs.store import Store

log = logging.getLogger("airbyte")
ENUMS = ("status", "namespaceDefinition", "nonBreakingSchemaUpdatesBehavior", "scheduleType", "syncMode")


class Resources:
    """Starts with the resources in the store. They take precedence over those with the same id in the config file."""

    def __init__(self, catalog: Catalog, store: Store, cancel: Callable[[UUID], None]) -> None:
        self._catalog = catalog
        self._store = store
        self._cancel = cancel
        for kind, body, deleted in store.resources():
            self._restore(kind, KINDS[kind].model_validate_json(body), deleted)
        catalog.check_folders()

    def create(self, kind: str, body: dict[str, Any]) -> Resource:
        fields = _fields(kind, body) | {f"{kind}Id": str(uuid4())}
        if "createdAt" in KINDS[kind].model_fields:
            fields["createdAt"] = int(time.time())
        if kind == "connection":
            fields.setdefault("name", self._connection_name(fields))
        return self._save(kind, _validated(kind, fields))

    def change(self, kind: str, resource: Resource, body: dict[str, Any]) -> Resource:
        """PATCH: change only the fields in `body`. A configuration is changed key by key."""
        if isinstance(resource, Connection) and resource.status == "locked":
            raise problems.connection_locked()
        before = resource.model_dump(mode="json", context=REVEAL)
        fields = restore_secrets(_fields(kind, body), before)
        if isinstance(resource, Connection) and fields.get("status") == "active":
            self._store.approve_columns(resource.connectionId)  # the new columns for which it was disabled
        if isinstance(fields.get("configuration"), dict):
            fields["configuration"] = before["configuration"] | fields["configuration"]
        return self._save(kind, _validated(kind, before | fields))

    def replace(self, kind: str, resource: Resource, body: dict[str, Any]) -> Resource:
        """PUT: replace the name and the whole configuration."""
        before = resource.model_dump(mode="json", context=REVEAL)
        fields = restore_secrets(_fields(kind, body), before)
        for name in ("name", "configuration"):
            if name not in fields:
                raise problems.invalid(f"{name}: must not be null")
        return self._save(kind, _validated(kind, before | fields))

    def delete(self, kind: str, resource: Resource) -> None:
        """Delete a resource and all that depend on it. Jobs of a deleted connection are cancelled."""
        id_ = id_of(kind, resource)
        for other_kind, others in self._catalog.by_kind.items():
            for other in [other for other in others.values() if (kind, id_) in _dependencies(other)]:
                self.delete(other_kind, other)
        if kind == "connection":
            self._cancel(id_)
            resource = resource.model_copy(update={"status": "deprecated"})  # Airbyte's status for a deleted connection
        self._catalog.delete(kind, resource)
        self._store.save_resource(kind, id_, resource.model_dump_json(context=REVEAL), deleted=True)

    def _save(self, kind: str, resource: Resource) -> Resource:
        self._check(resource)
        before = self._catalog.by_kind[kind].get(id_ := id_of(kind, resource))
        self._catalog.put(kind, resource)
        try:
            self._catalog.check_folders()
        except ConfigError as error:
            if before is None:
                del self._catalog.by_kind[kind][id_]
            else:
                self._catalog.put(kind, before)
            raise problems.conflicting_destination(str(error)) from None
        self._store.save_resource(kind, id_, resource.model_dump_json(context=REVEAL), deleted=False)
        return resource

    def _check(self, resource: Resource) -> None:
        """Check a resource before it is saved.

        Raises:
            ApiError: it refers to a resource that does not exist, or it is invalid.
        """
        tags = [("tag", tag) for tag in resource.tags] if isinstance(resource, Connection) else []
        for kind, id_ in [*_dependencies(resource), *tags]:
            if id_ not in self._catalog.by_kind[kind]:
                raise problems.not_found(kind, id_)
        if isinstance(resource, Tag) and any(_same_name(resource, tag) for tag in self._catalog.tags.values()):
            raise problems.tag_exists(resource.name)
        if isinstance(resource, Connection):
            source, destination = self._catalog.sources, self._catalog.destinations
            _check_streams(resource, source[resource.sourceId], destination[resource.destinationId])

    def _connection_name(self, fields: dict[str, Any]) -> str:
        """Return the default name as in Airbyte's UI: source → destination. A later check reports unknown ids."""
        found = (self._catalog.by_kind[kind].get(_uuid(fields.get(f"{kind}Id"))) for kind in ("source", "destination"))
        return " → ".join(each.name for each in found if isinstance(each, Source | Destination))

    def _restore(self, kind: str, resource: Resource, deleted: bool) -> None:
        if deleted:
            self._catalog.delete(kind, resource)
        elif all(id_ in self._catalog.by_kind[needed] for needed, id_ in _dependencies(resource)):
            self._catalog.put(kind, resource)
        else:
            log.warning(
                "The %s %s is ignored: the config file no longer has what it refers to", kind, id_of(kind, resource)
            )


def _uuid(value: object) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        return UUID(int=0)


def _dependencies(resource: Resource) -> list[tuple[str, UUID]]:
    """Return (kind, id) of each resource that this one depends on."""
    if isinstance(resource, Connection):
        return [("source", resource.sourceId), ("destination", resource.destinationId)]
    return [] if isinstance(resource, Workspace) else [("workspace", resource.workspaceId)]


def _same_name(tag: Tag, other: Tag) -> bool:
    return tag.tagId != other.tagId and (tag.name, tag.workspaceId) == (other.name, other.workspaceId)


def _check_streams(connection: Connection, source: Source, destination: Destination) -> None:
    names = [choice.name for choice in connection.configurations.streams]
    if unknown := [name for name in names if source.stream(name) is None]:
        raise problems.invalid(f"configurations: the source has no stream {', '.join(map(repr, unknown))}")
    if len(set(names)) < len(names):
        raise problems.invalid("configurations: a stream is configured twice")
    for choice in connection.configurations.streams:
        stream = source.stream(choice.name)
        if stream and (message := choice_error(choice, stream, destination)):
            raise problems.invalid(message)


def _fields(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a body that the mock keeps. Nulls and unknown names are dropped; enums ignore case."""
    known = set(KINDS[kind].model_fields) - {f"{kind}Id", "createdAt"}
    fields = {name: _lower(name, value) for name, value in body.items() if name in known and value is not None}
    if isinstance(chosen := fields.get("configurations"), dict):
        streams = chosen.get("streams") or []
        fields["configurations"] = {"streams": [*map(_choice, streams)] if isinstance(streams, list) else streams}
    if isinstance(schedule := fields.get("schedule"), dict):
        fields["schedule"] = {name: _lower(name, value) for name, value in schedule.items()}
    if isinstance(tags := fields.get("tags"), list):
        fields["tags"] = [tag.get("tagId") if isinstance(tag, dict) else tag for tag in tags]
    return fields


def _choice(stream: object) -> object:
    if not isinstance(stream, dict):
        return stream
    kept = StreamChoice.model_fields
    return {name: _lower(name, value) for name, value in stream.items() if name in kept and value is not None}


def _lower(name: str, value: object) -> object:
    return value.lower() if name in ENUMS and isinstance(value, str) else value


def _validated(kind: str, fields: dict[str, Any]) -> Resource:
    """Validate a resource.

    Raises:
        ApiError: 422 if the configuration is invalid for its connector, 400 for any other mistake.
    """
    try:
        return KINDS[kind].model_validate(fields)
    except ValidationError as error:
        errors = relevant_errors(error)
        message = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in errors)
        if all(e["loc"][:1] == ("configuration",) and e["loc"] != ("configuration",) for e in errors):
            raise problems.unprocessable(message) from None
        raise problems.invalid(message) from None

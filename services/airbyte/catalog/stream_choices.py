"""Check a connection's choices for a stream. The messages are Airbyte's own, copied from its server's source."""

from services.airbyte.catalog.config import Destination, Stream, StreamChoice, SyncMode

CURSOR = ["_ab_source_file_last_modified"]
INCREMENTAL = (SyncMode.INCREMENTAL_APPEND, SyncMode.INCREMENTAL_DEDUPED_HISTORY)


def choice_error(choice: StreamChoice, stream: Stream, destination: Destination) -> str | None:
    """Return what is wrong with the choice, or None. If the columns are inferred, any column name is accepted."""
    modes = ", ".join(mode.value for mode in destination.syncModes)
    if choice.syncMode not in destination.syncModes:
        return f"Cannot set sync mode to {choice.syncMode} for stream {choice.name}. Valid sync modes are: [{modes}]"
    if choice.syncMode in INCREMENTAL and choice.cursorField not in (None, [], CURSOR):
        return (
            f"Cursor Field {choice.cursorField} is already defined by source for stream: {choice.name}. "
            "Do not include a cursor field configuration for this stream."
        )
    return _selection_error(choice, stream) or (
        _key_error(choice, stream) if choice.syncMode is SyncMode.INCREMENTAL_DEDUPED_HISTORY else None
    )


def _selection_error(choice: StreamChoice, stream: Stream) -> str | None:
    paths = [field.fieldPath for field in choice.selectedFields or []]
    unknown = [path for path in paths if len(path) != 1 or (stream.columns and path[0] not in stream.columns)]
    if unknown:
        valid = f"The list of valid field names includes: {list(stream.columns)}."
        return f"Invalid field selected in configuration for stream {choice.name}. {valid}"
    if (
        paths
        and choice.syncMode is SyncMode.INCREMENTAL_DEDUPED_HISTORY
        and not _all_in(_key_of(choice, stream), paths)
    ):
        return (
            f"Primary key fields are not selected properly for stream: {choice.name}. "
            "Please include the primary key fields in selected fields for this stream."
        )
    return None


def _key_error(choice: StreamChoice, stream: Stream) -> str | None:
    own = [[column] for column in stream.primaryKey]
    if own and choice.primaryKey and choice.primaryKey != own:
        known = f"Please remove the primaryKey or provide the value as {own}."
        return f"Primary key for stream: {choice.name} is already pre-defined. {known}"
    if not (key := _key_of(choice, stream)):
        wanted = "Please include a primary key configuration for this stream."
        return f"No default primary key for stream: {choice.name}. {wanted}"
    valid = [[column] for column in stream.columns]
    if any(len(path) != 1 for path in key) or (valid and not _all_in(key, valid)):
        return f"Invalid cursor field for stream: {choice.name}. The list of valid primary keys fields: {valid}."
    return None


def _key_of(choice: StreamChoice, stream: Stream) -> list[list[str]]:
    """Return the primary key. The source's takes precedence over the connection's."""
    return [[column] for column in stream.primaryKey] or choice.primaryKey or []


def _all_in(paths: list[list[str]], others: list[list[str]]) -> bool:
    return all(path in others for path in paths)

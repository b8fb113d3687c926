"""Warnings that a sync writes to its attempt's log."""

from services.airbyte.protocol import Committed, NewColumns, Widened

TEXT_CHANGED = (
    "Earlier rows were converted from values, so their text may differ from their files: 1.50 was read as a number and "
    "is now 1.5. To get the files' text, declare the stream's columns and clear the stream."
)


def skipped_rows(file: Committed) -> str:
    return (
        f"{file.key}: {file.skipped:,} of its {file.rows + file.skipped:,} rows were skipped, because they have more "
        "or fewer values than the header. The stream's format.ignore_errors_on_fields_mismatch allows this."
    )


def new_columns(change: NewColumns) -> str:
    return (
        f"{change.key} has columns that stream {change.stream!r} lacks: {', '.join(change.names)}. The file was not "
        "loaded and the connection was disabled, because its nonBreakingSchemaUpdatesBehavior is disable_connection. "
        "To approve the columns, set the connection's status to active, then sync."
    )


def widened(change: Widened) -> str:
    note = TEXT_CHANGED if change.after == "string" else "Earlier rows keep their values."
    return (
        f"Column {change.column!r} of stream {change.stream!r} was {change.before} and is {change.after} now, because "
        f"of the values in {change.key}. {note} Check the queries that read the column."
    )

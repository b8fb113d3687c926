"""Errors of a sync that are not caused by a bad file, and errors of removals and compactions."""


class SchemaChanged(Exception):
    """A file has new columns, which someone has to approve."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


class DestinationError(Exception):
    """The destination failed. `failure_type` is one of Airbyte's: config_error, system_error or transient_error."""

    def __init__(self, failure_type: str, message: str) -> None:
        super().__init__(message)
        self.failure_type = failure_type


class RemovalFailed(Exception):
    """The rows of an object could not be removed. The message has the reason."""


class CompactionFailed(Exception):
    """The files of a stream could not be merged. The message has the reason."""

"""What stops a stream, apart from its files, and a change of what it has loaded."""


class SchemaChanged(Exception):
    """A file has columns that wait for a person's approval."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


class DestinationError(Exception):
    """A statement or the session failed. `failure_type` is Airbyte's: config_error or transient_error."""

    def __init__(self, failure_type: str, message: str) -> None:
        super().__init__(message)
        self.failure_type = failure_type


class RemovalFailed(Exception):
    """The rows of an object could not be removed; the text says why."""


class CompactionFailed(Exception):
    """The files of a stream could not be merged; the text says why."""

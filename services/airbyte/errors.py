"""What goes wrong in a destination that is not a folder."""


class DestinationError(Exception):
    """A statement or the session failed. `failure_type` is Airbyte's: config_error or transient_error."""

    def __init__(self, failure_type: str, message: str) -> None:
        super().__init__(message)
        self.failure_type = failure_type

"""What every error of the platform has in common: it says what happened, where, and what to do."""

import re

USER = re.compile(r"//(?:[^/\s]*|[^/:\s]*:(?!\d+/)[^\s@]*)@")
"""A URL's user and password, even one with a slash, which has no place there; but no @ of a path."""


class PlatformError(Exception):
    """An error whose text a newcomer can act on; a flow run's state carries it as it is.

    A user and password within a URL, as an endpoint may have them, are left out.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(USER.sub("//***@", text))


class ConfigurationError(PlatformError):
    """A setting, a block or a parameter is missing or cannot be used."""

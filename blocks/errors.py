"""What every error of the platform has in common: it says what happened, where, and what to do."""

import re

USER = re.compile(r"//(?:[^/\s]*|[^/:\s]*:(?!\d+/)[^\s@]*)@")
"""A URL's user and password, even one with a slash, which has no place there; but no @ of a path."""

UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line and text-direction marks, and halves of surrogate pairs."""


def shown(name: str) -> str:
    """Escape what a terminal, a log or a database cannot show of a name from outside, e.g. an object's key."""
    return UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


def printable(text: str) -> str:
    """Escape as `shown` does, but keep the lines of a text."""
    return "\n".join(map(shown, text.split("\n")))


class PlatformError(Exception):
    """An error whose text a newcomer can act on; a flow run's state carries it as it is.

    A user and password within a URL, as an endpoint may have them, are left out, and control characters are escaped.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(printable(USER.sub("//***@", text)))


class ConfigurationError(PlatformError):
    """A setting, a block or a parameter is missing or cannot be used."""

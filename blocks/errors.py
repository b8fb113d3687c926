"""What every error of the platform has in common: it says what happened, where, and what to do."""

import re

USER = re.compile(r"//(?:[^/\s]*|[^/:\s]*:(?!\d+/)[^\s@]*)@")
"""A URL's user and password, even one with a slash, which has no place there; but no @ of a path."""

UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line and text-direction marks, and halves of surrogate pairs."""

REMEDIES = {
    r"(hostname|ip address) mismatch|certificate .*doesn't match": "The certificate is for another name: write the "
    "host as the certificate has it.",
    "certificate has expired|not yet valid": "The certificate is out of date, or this machine's clock is wrong.",
    "certificate.verify.failed": "Its authority is not trusted here: name the authority's certificates with CA_FILE in "
    "the profile, or with SSL_CERT_FILE outside of containers.",
    "wrong.version.number": "The server there speaks without TLS: write http:// or its port for https.",
    "407 proxy|proxy authentication required": "The proxy wants a password: put it into `proxies` of "
    "~/.docker/config.json.",
}
"""What helps where a call fails before the other system has said anything, by a pattern of the error's text."""


def remedy(text: str) -> str:
    """Return what helps against an error of certificates or proxies, by its text; "" for any other."""
    return next((helps for pattern, helps in REMEDIES.items() if re.search(pattern, text, re.IGNORECASE)), "")


def shown(name: str) -> str:
    """Escape what a terminal, a log or a database cannot show of a name from outside, e.g. an object's key."""
    return UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


def printable(text: str) -> str:
    """Escape as `shown` does, but keep the lines of a text."""
    return "\n".join(map(shown, text.split("\n")))


class PlatformError(Exception):
    """An error whose text a newcomer can act on; a flow run's state carries it as it is.

    An error of certificates or proxies says what helps against it. A user and password within a URL, as an endpoint may
    have them, are left out, and control characters are escaped.
    """

    def __init__(self, text: str = "") -> None:
        helps = remedy(text)
        full = f"{text.rstrip()} {helps}" if helps and helps not in text else text
        super().__init__(printable(USER.sub("//***@", full)))


class ConfigurationError(PlatformError):
    """A setting, a block or a parameter is missing or cannot be used."""

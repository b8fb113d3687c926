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
    "390144|jwt token is invalid": "Set this user's RSA_PUBLIC_KEY in Snowflake to the public key of "
    "SNOWFLAKE_PRIVATE_KEY, and check SNOWFLAKE_USER and SNOWFLAKE_ACCOUNT.",
    "390100|incorrect username or password": "Correct SNOWFLAKE_USER or SNOWFLAKE_PASSWORD.",
    "390189|role .* specified in the connect string": "Grant SNOWFLAKE_ROLE to SNOWFLAKE_USER, or correct it.",
    "390303|390318|oauth access token": "Put a new token into SNOWFLAKE_OAUTH_TOKEN.",
    "390197|multi-factor authentication": "A user who needs a second factor cannot run pipelines: log in with "
    "SNOWFLAKE_PRIVATE_KEY.",
    "39042[02]|not allowed to access snowflake": "A network policy of Snowflake keeps this machine out: let an "
    "administrator add its address.",
    "290404": "Snowflake does not know the account: write SNOWFLAKE_ACCOUNT as ORGANIZATION-ACCOUNT, or as a locator "
    "with its region.",
    "000606|no active warehouse": "Grant SNOWFLAKE_ROLE the privilege USAGE on SNOWFLAKE_WAREHOUSE, or correct the "
    "warehouse's name.",
}
"""What helps against errors on the way to another system, or at its door, by a pattern of the error's text."""


def remedy(text: str) -> str:
    """Return what helps against an error of certificates, proxies or log-ins, by its text; "" for any other."""
    return next((helps for pattern, helps in REMEDIES.items() if re.search(pattern, text, re.IGNORECASE)), "")


def shown(name: str) -> str:
    """Escape what a terminal, a log or a database cannot show of a name from outside, e.g. an object's key."""
    return UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


def printable(text: str) -> str:
    """Escape as `shown` does, but keep the lines of a text."""
    return "\n".join(map(shown, text.split("\n")))


class PlatformError(Exception):
    """An error whose text a newcomer can act on; a flow run's state carries it as it is.

    An error of certificates, proxies or log-ins says what helps against it. A user and password within a URL, as an
    endpoint may have them, are left out, and control characters are escaped.
    """

    def __init__(self, text: str = "") -> None:
        helps = remedy(text)
        full = f"{text.rstrip()} {helps}" if helps and helps not in text else text
        super().__init__(printable(USER.sub("//***@", full)))


class ConfigurationError(PlatformError):
    """A setting, a block or a parameter is missing or cannot be used."""


def counted(number: int, noun: str) -> str:
    """A number with its noun, e.g. `1 file` and `1,200 files`."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"

"""The base class of the platform's errors. An error says what happened, where, and what to do."""

import re

USER = re.compile(r"//(?:[^/\s]*|[^/:\s]*:(?!\d+/)[^\s@]*)@")
"""The user and password in a URL, even with an unescaped slash in the password. An @ in the path does not match."""

UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, text-direction marks and unpaired surrogates."""

REMEDIES = {
    r"(hostname|ip address) mismatch|certificate .*doesn't match": "The certificate is for another host name. Use a "
    "name that the certificate lists.",
    "certificate has expired|not yet valid": "The certificate has expired, or this machine's clock is wrong.",
    "certificate.verify.failed": "The certificate's authority is not trusted here. Set CA_FILE in the profile to the "
    "authority's certificates, or SSL_CERT_FILE outside of containers.",
    "wrong.version.number": "The server does not use TLS on this port. Write http://, or the port for https.",
    "407 proxy|proxy authentication required": "The proxy requires a password. Put it into `proxies` in "
    "~/.docker/config.json.",
    "390144|jwt token is invalid": "Set this user's RSA_PUBLIC_KEY in Snowflake to the public key of "
    "SNOWFLAKE_PRIVATE_KEY, and check SNOWFLAKE_USER and SNOWFLAKE_ACCOUNT.",
    "390100|incorrect username or password": "Correct SNOWFLAKE_USER or SNOWFLAKE_PASSWORD.",
    "390189|role .* specified in the connect string": "Grant SNOWFLAKE_ROLE to SNOWFLAKE_USER, or correct it.",
    "390303|390318|oauth access token": "Put a new token into SNOWFLAKE_OAUTH_TOKEN.",
    "390197|multi-factor authentication": "A user with multi-factor authentication cannot run pipelines. Log in with "
    "SNOWFLAKE_PRIVATE_KEY.",
    "39042[02]|not allowed to access snowflake": "A network policy in Snowflake blocks this machine. Ask an "
    "administrator to allow its address.",
    "290404": "Snowflake does not know the account. Write SNOWFLAKE_ACCOUNT as ORGANIZATION-ACCOUNT, or as a locator "
    "with its region.",
    "000606|no active warehouse": "Grant SNOWFLAKE_ROLE the privilege USAGE on SNOWFLAKE_WAREHOUSE, or correct the "
    "warehouse's name.",
}
"""What to do about a failed connection or login, by a pattern of the error's text."""


def remedy(text: str) -> str:
    """Return what to do about an error with certificates, proxies or logins; "" for any other error."""
    return next((helps for pattern, helps in REMEDIES.items() if re.search(pattern, text, re.IGNORECASE)), "")


def shown(name: str) -> str:
    """Escape characters that a terminal, a log or a database cannot show, e.g. in an object's key."""
    return UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


def printable(text: str) -> str:
    """Escape a text like `shown`, but keep its line breaks."""
    return "\n".join(map(shown, text.split("\n")))


class PlatformError(Exception):
    """An error whose text a newcomer can act on. A failed flow run's state shows the text unchanged.

    The text gains a remedy if it is about certificates, proxies or logins. Users and passwords in URLs are removed,
    and control characters are escaped.
    """

    def __init__(self, text: str = "") -> None:
        helps = remedy(text)
        full = f"{text.rstrip()} {helps}" if helps and helps not in text else text
        super().__init__(printable(USER.sub("//***@", full)))


class ConfigurationError(PlatformError):
    """A setting, a block or a parameter is missing or cannot be used."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, e.g. `1 file` or `1,200 files`."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"

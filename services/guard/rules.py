"""Decide whether a server on this machine may answer a request: which names it answers to, and which pages may call it.

A web page that the user has open can send requests to 127.0.0.1, and with DNS rebinding it can even read the answers.
The browser tells on it: Host is then a name that is not the server's, Origin or Sec-Fetch-Site name another page.
Clients such as boto3, Prefect's and Airbyte's send neither Origin nor Sec-Fetch-Site.

This module needs the standard library alone, because LocalStack imports it too.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
ADDED = {
    "x-frame-options": "SAMEORIGIN",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",  # with no-referrer, a browser would hide that a form is the server's own
    "x-content-type-options": "nosniff",
}
"""What every answer carries: no page from elsewhere may show it in a frame, load it as a part of itself, or open it."""
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:/@\[\]]+?))\.?(?::([0-9]{1,5}))?", re.IGNORECASE)
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json", re.IGNORECASE)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
Address = tuple[str, str]


@dataclass(frozen=True)
class Refusal:
    """The status and the text of an answer that is given instead of the server's own."""

    status: int
    message: str


def names(text: str) -> frozenset[str]:
    """Return the host names of a setting, which separates them by commas or spaces."""
    return frozenset(text.lower().replace(",", " ").split())


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by their names in lower case; of one that is repeated, all values."""
    found: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()  # noqa: PLW2901 - the same name
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def is_cors(header: str) -> bool:
    """Whether a header of an answer would let a page from elsewhere read it."""
    return header.lower().startswith("access-control-")


@dataclass(frozen=True)
class Rules:
    """What one server answers.

    Args:
        hosts: names that it has beside those of the loopback interface; any port.
        proxies: those of `hosts` that a proxy has, which may put another name into Host.
        pages: it has pages for people, to which links may lead from anywhere; not below /api.
        buckets: names below localhost are its own: S3's clients put the bucket's name there.
        json_only: a call that may change something has a JSON body or none.
        other_types: regular expression of the paths for which `json_only` does not hold.
    """

    hosts: frozenset[str] = frozenset()
    proxies: frozenset[str] = frozenset()
    pages: bool = False
    buckets: bool = False
    json_only: bool = True
    other_types: str = r"(?!)"

    def refusal(self, method: str, path: str, headers: Mapping[str, str], local: str = "") -> Refusal | None:
        """Return why a request gets no answer, or None if it gets one.

        Args:
            method: in upper case.
            path: of the URL, without the query.
            headers: as `joined` returns them.
            local: the address that the request arrived at: a name that is an address cannot be rebound.
        """
        host = _address(headers.get("host", ""))
        if host is None or not self._is_own(host[0], local):
            return Refusal(421, _misdirected(headers.get("host", "")))
        if self._is_foreign(host, headers) and not self._is_link(method, path, headers):
            return Refusal(403, "This server does not answer web pages that come from elsewhere.")
        if self.json_only and _has_other_type(method, headers) and not re.fullmatch(self.other_types, path):
            return Refusal(415, "Send the body as JSON, with the header Content-Type: application/json.")
        return None

    def _is_own(self, name: str, local: str) -> bool:
        below = name.endswith((".localhost", ".localhost.localstack.cloud"))
        return name in LOOPBACK | self.hosts or name == local.lower() != "" or (self.buckets and below)

    def _is_foreign(self, host: Address, headers: Mapping[str, str]) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None and site is None:  # a client that is not a browser, or an old browser
            origin = headers.get("referer")
        if site is not None and site.lower() not in ("same-origin", "none"):
            return True
        return origin is not None and not self._is_same(host, _origin(origin))

    def _is_same(self, host: Address, origin: Address | None) -> bool:
        """Whether an origin is the server's own, or its proxy's."""
        return origin == host or (origin is not None and origin[0] in self.proxies and not origin[1])

    def _is_link(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        """Whether a person follows a link to a page: the page that has the link cannot read where it leads."""
        if not self.pages or method != "GET" or "origin" in headers or path.lower().startswith("/api"):
            return False
        if "sec-fetch-site" not in headers:
            return True
        return (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")


def _address(host: str) -> Address | None:
    """Return name and port, which is empty where it is a scheme's default."""
    if not (match := _HOST.fullmatch(host.strip())):
        return None
    port = match[3] or ""
    return (match[1] or match[2]).lower(), "" if port in ("80", "443") else port


def _origin(text: str) -> Address | None:
    """Return name and port of an origin or of a Referer; None for `null` and what no server can be the origin of."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return _address(parts.netloc) if parts.scheme in ("http", "https") else None


def _has_other_type(method: str, headers: Mapping[str, str]) -> bool:
    if method in _READS:
        return False
    kind = headers.get("content-type")
    if kind is None:
        return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return not _JSON.fullmatch(kind.partition(";")[0].strip())


def _misdirected(host: str) -> str:
    return (
        f"This server does not answer to the name {host[:200]!r}. Use 127.0.0.1 or localhost. If people reach it by "
        "that name, add it to GUARD_ALLOWED_HOSTS, which is a variable of the profile in Docker."
    )

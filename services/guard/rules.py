"""Decide whether a server on this machine may answer a request, by the host name and the web page that it comes from.

A web page that the user has open can send requests to 127.0.0.1, and with DNS rebinding it can even read the answers.
The browser's headers reveal this: Host is not a name of the server, or Origin or Sec-Fetch-Site shows another page.
Clients such as boto3, Prefect's and Airbyte's send neither Origin nor Sec-Fetch-Site.

This module uses only the standard library, because LocalStack imports it, too.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SECURITY_HEADERS = {
    "x-frame-options": "SAMEORIGIN",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",  # with no-referrer, we could not recognize the server's own forms
    "x-content-type-options": "nosniff",
}
"""Headers of every response. They keep foreign pages from framing it, embedding it, or controlling its window."""
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:/@\[\]]+?))\.?(?::([0-9]{1,5}))?", re.IGNORECASE)
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json", re.IGNORECASE)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
Address = tuple[str, str]


@dataclass(frozen=True)
class Refusal:
    """The status and the text of a response that replaces the server's own."""

    status: int
    message: str


def names(text: str) -> frozenset[str]:
    """Split a setting into host names, which are separated by commas or spaces."""
    return frozenset(text.lower().replace(",", " ").split())


def join_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by their names in lower case. The values of a repeated header are joined by commas."""
    found: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()  # noqa: PLW2901 - only its case changes
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def is_cors(header: str) -> bool:
    """Return whether a response header could allow a foreign page to read the response."""
    return header.lower().startswith("access-control-")


@dataclass(frozen=True)
class Rules:
    """The requests that one server may answer.

    Args:
        hosts: host names of the server in addition to those of the loopback interface, with any port.
        proxies: those of `hosts` that belong to a proxy, which may send another name in Host.
        pages: whether the server has pages for browsers. Links from anywhere may lead to them, except below /api.
        buckets: whether names below localhost are accepted, because S3 clients put the bucket's name there.
        json_only: whether requests that may change something must have a JSON body or none.
        other_types: regular expression of the paths that `json_only` does not apply to.
    """

    hosts: frozenset[str] = frozenset()
    proxies: frozenset[str] = frozenset()
    pages: bool = False
    buckets: bool = False
    json_only: bool = True
    other_types: str = r"(?!)"

    def refusal(self, method: str, path: str, headers: Mapping[str, str], local: str = "") -> Refusal | None:
        """Return why a request is refused, or None if it is allowed.

        Args:
            method: the method in upper case.
            path: the URL's path, without the query.
            headers: the headers as `join_headers` returns them.
            local: the IP address that received the request. It is a valid Host: DNS rebinding needs a name.
        """
        host = _address(headers.get("host", ""))
        if host is None or not self._is_own(host[0], local):
            return Refusal(421, _misdirected(headers.get("host", "")))
        if self._is_from_other_site(host, headers) and not self._is_link(method, path, headers):
            return Refusal(403, "This server does not answer requests from other web sites.")
        if self.json_only and _has_other_type(method, headers) and not re.fullmatch(self.other_types, path):
            return Refusal(415, "Send the body as JSON, with the header Content-Type: application/json.")
        return None

    def _is_own(self, name: str, local: str) -> bool:
        below = name.endswith((".localhost", ".localhost.localstack.cloud"))
        return name in LOOPBACK | self.hosts or name == local.lower() != "" or (self.buckets and below)

    def _is_from_other_site(self, host: Address, headers: Mapping[str, str]) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None and site is None:  # a client that is not a browser, or an old browser
            origin = headers.get("referer")
        if site is not None and site.lower() not in ("same-origin", "none"):
            return True
        return origin is not None and not self._is_same(host, _origin(origin))

    def _is_same(self, host: Address, origin: Address | None) -> bool:
        """Return whether an origin is the server itself or its proxy."""
        return origin == host or (origin is not None and origin[0] in self.proxies and not origin[1])

    def _is_link(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        """Return whether somebody follows a link to a page. The page with the link cannot read the response."""
        if not self.pages or method != "GET" or "origin" in headers or path.lower().startswith("/api"):
            return False
        if "sec-fetch-site" not in headers:
            return True
        return (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")


def _address(host: str) -> Address | None:
    """Return name and port. The port is empty if it is the default of HTTP or HTTPS."""
    if not (match := _HOST.fullmatch(host.strip())):
        return None
    port = match[3] or ""
    return (match[1] or match[2]).lower(), "" if port in ("80", "443") else port


def _origin(text: str) -> Address | None:
    """Return name and port of an Origin or a Referer; None for `null` and for other schemes than HTTP and HTTPS."""
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
        f"This server does not answer to the name {host[:200]!r}. Use 127.0.0.1 or localhost. To allow that name, add "
        "it to GUARD_ALLOWED_HOSTS, which is a variable of the profile in Docker."
    )

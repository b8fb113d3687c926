"""Check this machine's clock against other systems, and its installed packages."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version

import httpx

from commands.doctor.finding import Finding

SKEW_SECONDS, REFUSED_SECONDS = 10, 240
NTP = "Synchronize this machine's clock with NTP. S3 and Snowflake's key pairs reject a clock that is minutes off."


def clock(urls: Mapping[str, str]) -> Iterable[Finding]:
    """Compare this machine's clock with the Date headers of other systems.

    Args:
        urls: by the name of the system.
    """
    for name, url in urls.items():
        try:
            date = httpx.get(url, timeout=10).headers.get("date")
        except httpx.HTTPError:
            continue  # the system's own check reports that it does not answer
        if date:
            yield skew(name, (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())


def skew(name: str, seconds: float) -> Finding:
    """Return the finding for a clock that is `seconds` ahead of another."""
    said = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} {name}"
    if abs(seconds) <= SKEW_SECONDS:
        return Finding("clock", "ok", said)
    return Finding("clock", "warn" if abs(seconds) < REFUSED_SECONDS else "fail", said, NTP)


def versions(packages: Iterable[str]) -> Iterable[Finding]:
    """Check that the packages which the profile's target needs are installed."""
    for package in packages:
        try:
            yield Finding("versions", "ok", f"{package} {version(package)}")
        except PackageNotFoundError:
            yield Finding(
                "versions", "fail", f"{package} is not installed", "Run `make install`, or rebuild the image."
            )

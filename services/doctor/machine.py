"""This machine: its clock and its programs, beside those of the systems that it talks to."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version

import httpx

from services.doctor.finding import Finding

SKEW_SECONDS, REFUSED_SECONDS = 10, 240
NTP = "Let this machine's clock be set by NTP: S3 and Snowflake's key pairs refuse a clock that is minutes off."


def clock(urls: Mapping[str, str]) -> Iterable[Finding]:
    """How far this clock is from those of other systems, by the Date of what they answer.

    Args:
        urls: by the name of the system.
    """
    for name, url in urls.items():
        try:
            date = httpx.get(url, timeout=10).headers.get("date")
        except httpx.HTTPError:
            continue  # its own check reports that it does not answer
        if date:
            yield skew(name, (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())


def skew(name: str, seconds: float) -> Finding:
    """Judge how many seconds this clock is ahead of another."""
    said = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} {name}"
    if abs(seconds) <= SKEW_SECONDS:
        return Finding("clock", "ok", said)
    return Finding("clock", "warn" if abs(seconds) < REFUSED_SECONDS else "fail", said, NTP)


def versions(packages: Iterable[str]) -> Iterable[Finding]:
    """Which of the packages that the profile's target needs are installed."""
    for package in packages:
        try:
            yield Finding("versions", "ok", f"{package} {version(package)}")
        except PackageNotFoundError:
            yield Finding("versions", "fail", f"{package} is not installed", "`make install`, or build the image anew.")

"""Check the sensor's heartbeat, the disks, and when secrets expire."""

import json
import shutil
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from blocks.errors import ConfigurationError
from blocks.incidents import LOOKED
from services.watch.causes import Finding
from services.watch.probe import Facts

SILENCE = timedelta(seconds=45)
GIGABYTE = 1e9
CERTIFICATE = "-----BEGIN CERTIFICATE-----"
BLOCK_SECRETS = {
    "airbyte-connection": {"client_secret": "AIRBYTE_CLIENT_SECRET"},
    "snowflake-connection": {
        "password": "SNOWFLAKE_PASSWORD",
        "private_key": "SNOWFLAKE_PRIVATE_KEY",
        "oauth_token": "SNOWFLAKE_OAUTH_TOKEN",
    },
    "s3-landing": {"secret_access_key": "AWS_SECRET_ACCESS_KEY", "session_token": "AWS_SESSION_TOKEN"},
}
"""The secret fields of a profile's blocks, and the name of each secret."""


def sensor(facts: Facts) -> list[Finding]:
    """Return a finding if the sensor has sent no heartbeat for SILENCE, unless Prefect's server is the reason.

    Raises:
        NoAnswer: Prefect's server does not answer.
    """
    if not facts.settings.automatic_runs:
        return []
    facts.prefect.require_answer()
    file = facts.settings.alerts_dir / LOOKED
    last = datetime.fromtimestamp(file.stat().st_mtime, UTC) if file.exists() else facts.state.began
    if facts.now - last <= SILENCE:
        return []
    what = f"The sensor has sent no heartbeat since {last:%Y-%m-%d %H:%M} UTC."
    return [Finding("sensor_silent", "sensor", what, "make status; the sensor's log", last)]


def disk(facts: Facts) -> list[Finding]:
    """Return a finding for each disk with too little free space. A reported disk needs 10% more to recover."""
    own = facts.settings
    found: dict[str, Finding] = {}
    for folder in (own.alerts_dir, own.lake_dir, own.warehouse_path.parent):
        if not folder.is_dir():
            continue
        device = str(folder.stat().st_dev)
        was_low = f"disk_low/{device}" in facts.state.incidents
        free, limit = shutil.disk_usage(folder).free / GIGABYTE, own.alert_disk_gb
        if free < limit * (1.1 if was_low else 1):
            what = f"The disk of {folder} has {free:.1f} GB free; the threshold is {limit:g} GB."
            found.setdefault(device, Finding("disk_low", device, what, f"df -h {folder}"))
    return list(found.values())


def secrets(facts: Facts) -> list[Finding]:
    """Return a finding for each secret that expires within ALERT_SECRET_DAYS."""
    ends = {name: end for name, text in _secrets(facts) if (end := end_of(text))}
    ends |= declared_ends(facts.settings.secrets_expire)
    soon = facts.now + timedelta(days=facts.settings.alert_secret_days)
    return [
        Finding(
            "secret_expiring", name, _ending(name, end, facts.now), "docs/alerts.md", end if end <= facts.now else None
        )
        for name, end in sorted(ends.items())
        if end <= soon
    ]


def _ending(name: str, end: datetime, now: datetime) -> str:
    return f"The secret {name} {'expired' if end <= now else 'expires'} on {end:%Y-%m-%d at %H:%M} UTC."


def _secrets(facts: Facts) -> Iterator[tuple[str, str]]:
    own = facts.settings
    for kind, fields in BLOCK_SECRETS.items():
        mine = {field: getattr(own, name.lower()).get_secret_value() for field, name in fields.items()}
        values: Mapping[str, Any] = facts.values(kind, mine)
        yield from ((name, str(values.get(field) or "")) for field, name in fields.items())
    server = facts.prefect.server
    yield "PREFECT_API_KEY", server.api_key.get_secret_value()
    if path := own.snowflake_private_key_path:
        yield "SNOWFLAKE_PRIVATE_KEY_PATH", Path(path).read_text(errors="replace") if Path(path).is_file() else ""


def end_of(secret: str) -> datetime | None:
    """Return when a secret expires: by a JSON web token's `exp`, or by a certificate in it. None if it does not say."""
    if CERTIFICATE in secret:
        from cryptography import x509

        try:
            return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(secret.encode()))
        except ValueError:
            return None
    parts = secret.strip().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None


def declared_ends(text: str) -> dict[str, datetime]:
    """Parse SECRETS_EXPIRE: NAME:2027-01-31, separated by commas. A secret expires at the end of that day, UTC.

    Raises:
        ConfigurationError: the text has another form.
    """
    ends = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, _, day = each.partition(":")
        try:
            ends[name] = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
        except ValueError:
            raise ConfigurationError(
                "SECRETS_EXPIRE cannot be read. Write it as NAME:2027-01-31,NAME:2027-06-30."
            ) from None
    return ends

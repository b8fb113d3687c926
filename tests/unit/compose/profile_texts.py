"""The project's profiles as texts, to change and to check."""

import re
from pathlib import Path

from commands.compose.profile import PROJECT, check, load

FOLDER = PROJECT / "profiles"
FILLED = {
    "tag": "2027-01-31",
    "connection-uuid": "7f6b1a52-3c0e-4d3b-9a51-0c2f4e8d6a10",
    "client-id": "8c1d",
    "bucket": "acme-landing",
    "region": "eu-central-1",
    "account": "acme-main",
    "user": "PLATFORM",
    "role": "TRANSFORMER",
    "warehouse": "TRANSFORMING",
    "database": "PLATFORM",
    "schema": "MARTS",
}
PRODUCTION = (FOLDER / "production.env.example").read_text()
TEXTS = {
    "local": (FOLDER / "local.env").read_text(),
    "rehearsal": (FOLDER / "rehearsal.env").read_text(),
    "production": re.sub(r"=<([\w-]+)>$", lambda match: f"={FILLED[match[1]]}", PRODUCTION, flags=re.MULTILINE),
}
KEY = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIE\n-----END ENCRYPTED PRIVATE KEY-----\n"


def checked(folder: Path, profile: str, text: str) -> None:
    (folder / f"{profile}.env").write_text(text)
    check(load(profile, folder))


def changed(profile: str, **values: str) -> str:
    text = TEXTS[profile]
    for name, value in values.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    return text

"""Fingerprints of file versions, by which a cursor remembers the processed versions."""

import hashlib
from base64 import urlsafe_b64encode

from blocks.landing import LandedFile

FINGERPRINT = 12
"""Characters of a fingerprint. With 72 bits and a million versions in the window, one new version in 10^15 collides."""


def fingerprint(file: LandedFile) -> str:
    """Return a version's fingerprint, of FINGERPRINT characters."""
    named = f"{int(file.date.timestamp())} {len(file.etag)} {file.etag} {file.key}"
    digest = hashlib.blake2b(named.encode(), digest_size=9).digest()
    return urlsafe_b64encode(digest).decode()


def fingerprints(text: str) -> set[str]:
    """Split a text of joined fingerprints."""
    return {text[start : start + FINGERPRINT] for start in range(0, len(text), FINGERPRINT)}

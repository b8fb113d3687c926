"""Short names of file versions, by which a cursor remembers what was handed on."""

import hashlib
from base64 import urlsafe_b64encode

from blocks.landing import LandedFile

FINGERPRINT = 12
"""Characters: 72 bits, so that among a million versions in the window a new one is taken for another once in 10^15."""


def fingerprint(file: LandedFile) -> str:
    """A version's short name, of FINGERPRINT characters."""
    named = f"{int(file.date.timestamp())} {len(file.etag)} {file.etag} {file.key}"
    digest = hashlib.blake2b(named.encode(), digest_size=9).digest()
    return urlsafe_b64encode(digest).decode()


def fingerprints(text: str) -> set[str]:
    """The names that were joined to a text."""
    return {text[start : start + FINGERPRINT] for start in range(0, len(text), FINGERPRINT)}

"""Issue and check access tokens. They are stored as hashes and are valid for `token_lifetime` seconds."""

import hashlib
import hmac
import secrets
from base64 import b64decode

from services.airbyte.jobs.store import Store, now
from services.airbyte.settings import Settings


class Tokens:
    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    @property
    def required(self) -> bool:
        return self._settings.client_secret is not None

    def issue(self, client_id: str, client_secret: str, lifetime: float | None = None) -> str | None:
        """Return a new token, or None for wrong credentials. A mock without credentials accepts any.

        `lifetime` is in seconds.
        """
        if not self._credentials_match(client_id, client_secret):
            return None
        token = secrets.token_urlsafe(32)
        seconds = self._settings.token_lifetime if lifetime is None else lifetime
        self._store.save_token(_digest(token), now() + round(seconds * 1_000_000))
        return token

    def accepts(self, authorization: str | None) -> bool:
        if not self.required:
            return True
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and self._store.token_is_valid(_digest(token.strip()))

    def accepts_basic(self, authorization: str | None) -> bool:
        """Return whether the header has the mock's credentials as HTTP basic authentication, which browsers send."""
        scheme, _, encoded = (authorization or "").partition(" ")
        try:
            client_id, _, client_secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
        except ValueError:
            return False
        return scheme.lower() == "basic" and self._credentials_match(client_id, client_secret)

    def _credentials_match(self, client_id: str, client_secret: str) -> bool:
        if (expected := self._settings.client_secret) is None:
            return True
        same_id = hmac.compare_digest(client_id.encode(), (self._settings.client_id or "").encode())
        return hmac.compare_digest(client_secret.encode(), expected.get_secret_value().encode()) and same_id


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

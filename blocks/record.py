"""A record of the objects that a platform has registered on a Prefect server, kept there in Prefect variables.

For each object, the record has a digest of every value as last registered. It tells a person's changes from changes in
the platform's own files, and the platform's objects from others that only have the same name.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate

from blocks.errors import PlatformError
from blocks.names import variable

CHUNK = 2400
"""Characters in one variable. Prefect accepts 5000 characters of JSON, in which each quote counts twice."""

TAGS = ["local-data-platform"]
Values = Mapping[str, Any]


class NotOurs(PlatformError):
    """An object on the server belongs to another platform or to a person. Nothing was changed."""


class Record:
    """The record called `name` on the client's server. Creating it reads the record; `save` writes it."""

    def __init__(self, client: SyncPrefectClient, name: str) -> None:
        self._client, self._variable = client, f"platform_{variable(name)}"
        self._saved: list[str] = []
        while (found := client.read_variable_by_name(self._name(len(self._saved)))) is not None:
            self._saved.append(str(found.value))
        content = json.loads("".join(self._saved) or "{}")
        self.owner: str = content.get("owner", "")
        self.profile: str = content.get("profile", "")
        self.things: dict[str, dict[str, str]] = content.get("things", {})

    def check(self, profile: str, owner: str, there: Iterable[str], what: str, remedy: str) -> None:
        """Check that the objects on the server were registered from the same clone for the same profile.

        Args:
            profile: name of the profile to register.
            owner: who registers it.
            there: the objects on the server whose names the platform would use.
            what: the record's subject and server, for the message.
            remedy: what to do, as a sentence.

        Raises:
            NotOurs: an object belongs to somebody else, or its owner is unknown.
        """
        if self.owner and (self.owner, self.profile) != (owner, profile):
            raise NotOurs(
                f"{what} belongs to {self.owner} (profile {self.profile}), and this is {owner} (profile {profile}). "
                f"Nothing was changed. {remedy}"
            )
        if unknown := [each for each in there if each not in self.things]:
            raise NotOurs(
                f"{what}: {', '.join(unknown)} exists already, and this platform did not create it. "
                f"Nothing was changed. {remedy}"
            )

    def claim(self, things: Iterable[str], profile: str, owner: str) -> None:
        """Record objects as this platform's before they are created, so that a failed registration can continue."""
        self.owner, self.profile = owner, profile
        for each in things:
            self.things.setdefault(each, {})
        self.save()

    def remember(self, thing: str, values: Values | None) -> None:
        """Record an object's registered values. None removes the object from the record."""
        self.things.pop(thing, None)
        if values is not None:
            self.things[thing] = {name: digest(value) for name, value in values.items()}

    def save(self) -> None:
        """Write the variables that have changed."""
        content = {"owner": self.owner, "profile": self.profile, "things": self.things}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        chunks = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
        for index, chunk in enumerate(chunks):
            if index >= len(self._saved):
                self._client.create_variable(VariableCreate(name=self._name(index), value=chunk, tags=TAGS))
            elif chunk != self._saved[index]:
                self._client.update_variable(VariableUpdate(name=self._name(index), value=chunk))
        for index in range(len(chunks), len(self._saved)):
            self._client.delete_variable_by_name(self._name(index))
        self._saved = chunks

    def _name(self, index: int) -> str:
        return f"{self._variable}_part_{index}" if index else self._variable


def digest(value: Any) -> str:
    """Return a short digest of a JSON value."""
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]

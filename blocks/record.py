"""What a platform has registered on a Prefect server, and who did: kept there, in Prefect variables.

Of each thing the record has a digest of every value as it was last registered. So what a person has changed since can
be told from what the platform's own files have changed, and what is the platform's from what only has its name.
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
"""Characters of a variable; Prefect takes 5000 of JSON, where each quote counts twice."""

TAGS = ["local-data-platform"]
Values = Mapping[str, Any]


class NotOurs(PlatformError):
    """A thing on the server is another platform's, or a person's; nothing was changed."""


class Record:
    """The record called `name` on the client's server; read at once, written by `save`."""

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
        """Make sure that what is there was registered from the same clone for the same profile.

        Args:
            profile: name of the profile that is to be registered.
            owner: who registers it.
            there: the things on the server whose names the platform would take.
            what: what the record stands for, and on which server.
            remedy: what to do, as a sentence.

        Raises:
            NotOurs: something is another's, or nothing says whose it is.
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
        """Record things as this platform's before they are created, so that one that fails halfway can go on."""
        self.owner, self.profile = owner, profile
        for each in things:
            self.things.setdefault(each, {})
        self.save()

    def remember(self, thing: str, values: Values | None) -> None:
        """Note the values with which a thing is registered now; None for one that was removed."""
        self.things.pop(thing, None)
        if values is not None:
            self.things[thing] = {name: digest(value) for name, value in values.items()}

    def save(self) -> None:
        """Write what differs from what was read."""
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
    """A short digest of a value of JSON."""
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]

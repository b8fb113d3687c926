"""The local receiver's messages, in a JSON Lines file with the oldest first."""

import json
from pathlib import Path
from typing import Any

MAX_MESSAGES = 1000
"""The number of messages that are kept."""


class Messages:
    """The messages in a folder's file FILE."""

    FILE = "messages.jsonl"

    def __init__(self, folder: Path) -> None:
        self.file = folder / self.FILE

    def read(self) -> list[dict[str, Any]]:
        """Return all messages, oldest first."""
        try:
            lines = self.file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [each for line in lines if isinstance(each := json.loads(line), dict)]

    def add(self, message: dict[str, Any]) -> bool:
        """Store a message; return whether it is new. A message with a known `id` is a repetition and is not stored."""
        known = self.read()
        if message.get("id") and any(each.get("id") == message["id"] for each in known):
            return False
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        new.write_text("".join(json.dumps(each) + "\n" for each in [*known, message][-MAX_MESSAGES:]), encoding="utf-8")
        new.replace(self.file)
        return True


def line(message: dict[str, Any]) -> str:
    """Return a message as text: the time and its `text` or `content`, or else all of its JSON."""
    text = message.get("text") or message.get("content") or json.dumps(message)
    return f"{message.get('received', '')}  {text}"

"""The messages that the local receiver has taken: a file with a line of JSON for each, oldest first."""

import json
from pathlib import Path
from typing import Any

MOST = 1000
"""How many messages are kept."""


class Messages:
    """The messages of a folder, in the file FILE."""

    FILE = "messages.jsonl"

    def __init__(self, folder: Path) -> None:
        self.file = folder / self.FILE

    def read(self) -> list[dict[str, Any]]:
        """All messages, oldest first."""
        try:
            lines = self.file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [each for line in lines if isinstance(each := json.loads(line), dict)]

    def add(self, message: dict[str, Any]) -> bool:
        """Store a message; return whether it is new: one with the `id` of another is a repetition."""
        taken = self.read()
        if message.get("id") and any(each.get("id") == message["id"] for each in taken):
            return False
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        new.write_text("".join(json.dumps(each) + "\n" for each in [*taken, message][-MOST:]), encoding="utf-8")
        new.replace(self.file)
        return True


def line(message: dict[str, Any]) -> str:
    """A message as people read it; of one in another format than ours, its text, or all of it."""
    text = message.get("text") or message.get("content") or json.dumps(message)
    return f"{message.get('received', '')}  {text}"

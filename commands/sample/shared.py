"""The sample's entries in the files that it shares with the user's sources: the connections' YAML and sources.yml."""

from collections.abc import Callable, Collection
from pathlib import Path

import yaml

from commands.sample.files import SOURCES_FILE
from commands.sources import entries


def lists(file: Path, text: str) -> list[list[entries.Step]]:
    """Return the steps to each list of a shared file that has an entry for each stream."""
    document = yaml.safe_load(text) or {}
    if file == SOURCES_FILE:
        return [["sources", {"name": each["name"]}, "tables"] for each in document["sources"] if "tables" in each]
    found: list[list[entries.Step]] = [
        ["sources", {"sourceId": each["sourceId"]}, "configuration", "streams"] for each in document["sources"]
    ]
    return found + [
        ["connections", {"connectionId": each["connectionId"]}, "configurations", "streams"]
        for each in document["connections"]
        if "streams" in each.get("configurations", {})
    ]


def without(file: Path, text: str, streams: Collection[str]) -> str:
    """Return the text of a shared file without the entries of these streams."""
    return _select(file, text, lambda name: name not in streams)


def only(file: Path, text: str, streams: Collection[str]) -> str:
    """Return the text of a shared file with only the entries of these streams."""
    return _select(file, text, lambda name: name in streams)


def _select(file: Path, text: str, kept: Callable[[str], bool]) -> str:
    for path in lists(file, text):
        text = entries.select(text, path, kept)
    return text


def joined(file: Path, text: str, other: str) -> str:
    """Return the text of a shared file with another one's entries appended to its own, list by list."""
    for path in lists(file, other):
        if path in lists(file, text):
            text = entries.join(text, path, other)
    return text


def names(file: Path, text: str) -> set[str]:
    """Return the names of all entries of a shared file."""
    return {name for path in lists(file, text) for name in entries.names(text, path)}

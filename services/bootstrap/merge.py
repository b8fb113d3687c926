"""Decide which values of an object on the server to change, so that people's own changes stay."""

from collections.abc import Mapping
from typing import Any, Final

from blocks.record import digest

REMOVED: Final = object()
Flat = dict[str, Any]
"""An object's values by name. A member of a mapping or list has its own name, such as `parameters.select`."""


def changes(declared: Flat, there: Flat, last: Mapping[str, str]) -> Flat:
    """Return the values to change on the server; REMOVED for a value that is no longer declared.

    A value changes if its declaration is new, or has changed since it was last registered. Any other difference was
    made by a person on the server, and stays.

    Args:
        declared: the values in the platform's files.
        there: the values on the server.
        last: digests of the values that were declared when the object was last registered.
    """
    new = {
        name: value
        for name, value in declared.items()
        if there.get(name, REMOVED) != value and last.get(name) != digest(value)
    }
    removed = {
        name: REMOVED
        for name in last.keys() & there.keys() - declared.keys()
        if name.startswith("schedules.") or last[name] == digest(there[name])
    }
    return new | removed


def members(group: str, values: Mapping[str, Any]) -> Flat:
    """Flatten a mapping: `GROUP.NAME` for each member."""
    return {f"{group}.{name}": value for name, value in values.items()}


def merged(group: str, there: Mapping[str, Any], changed: Flat) -> dict[str, Any] | None:
    """Return the mapping on the server with its members' changes applied; None if no member changes."""
    own = {name.removeprefix(f"{group}."): value for name, value in changed.items() if name.startswith(f"{group}.")}
    if not own:
        return None
    return {name: value for name, value in {**there, **own}.items() if value is not REMOVED}

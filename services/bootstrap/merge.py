"""What to change of a thing on the server, so that people keep what they have set there."""

from collections.abc import Mapping
from typing import Any, Final

from blocks.record import digest

REMOVED: Final = object()
Flat = dict[str, Any]
"""A thing's values by their names; a member of a mapping or a list has a name of its own, `parameters.select`."""


def changes(declared: Flat, there: Flat, last: Mapping[str, str]) -> Flat:
    """What differs and is for the platform to change; REMOVED for a value that is no longer declared.

    A value changes when its declaration has changed since it was last registered, or was never registered. Whatever
    else differs on the server, a person has changed there.

    Args:
        declared: the values as the platform's files have them.
        there: the values on the server.
        last: digests of the values that were declared when the thing was last registered.
    """
    new = {
        name: value
        for name, value in declared.items()
        if there.get(name, REMOVED) != value and last.get(name) != digest(value)
    }
    gone = {
        name: REMOVED
        for name in last.keys() & there.keys() - declared.keys()
        if name.startswith("schedules.") or last[name] == digest(there[name])
    }
    return new | gone


def members(group: str, values: Mapping[str, Any]) -> Flat:
    """The members of a mapping, each with a name of its own."""
    return {f"{group}.{name}": value for name, value in values.items()}


def merged(group: str, there: Mapping[str, Any], changed: Flat) -> dict[str, Any] | None:
    """The mapping on the server with its members' changes; None where none of them changes."""
    own = {name.removeprefix(f"{group}."): value for name, value in changed.items() if name.startswith(f"{group}.")}
    if not own:
        return None
    return {name: value for name, value in {**there, **own}.items() if value is not REMOVED}

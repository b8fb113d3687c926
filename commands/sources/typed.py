"""Checks the options that a person passes to `make source`."""

import argparse

from blocks.errors import PlatformError
from commands.sources.names import identifier, table_name
from commands.sources.spec import Spec


class Refused(PlatformError):
    """The command cannot do this. Nothing was written."""


def key_columns(key: str) -> list[str]:
    """Return the column names in KEY=."""
    return [each.strip() for each in key.split(",") if each.strip()]


def chosen_stream(options: argparse.Namespace) -> str:
    """Return the stream that NAME= names with FROM=connection, or "" for all streams.

    Raises:
        Refused: FROM has another value, or an option does not go with it.
    """
    if options.origin != "connection":
        raise Refused(
            f"FROM={options.origin} is not known. FROM=connection takes the streams of the Airbyte connection."
        )
    if unwanted := [each for each in ("file", "key", "mart") if getattr(options, each)]:
        raise Refused(f"{', '.join(each.upper() for each in unwanted)} does not go with FROM=connection. Leave it out.")
    return str(options.name)


def check_same(known: Spec, key: list[str], mart: str) -> None:
    """Check that an existing source has the key and the aggregate that a person names.

    Raises:
        Refused: it has others.
    """
    raw = [known.by_name[name].raw for name in known.key if name in known.by_name]
    if (key and key not in (known.key, raw)) or (mart and mart != known.by_day):
        has = f"its key is {', '.join(known.key) or 'none'}, and its table by day is {known.by_day or 'none'}"
        raise Refused(
            f"The source {known.name} exists already: {has}. Leave out KEY= and MART=, or start over: "
            f"make source NAME={known.name} REMOVE=1."
        )


def name_from_file(name: str) -> str:
    """Return the source's name for a file's name.

    Raises:
        Refused: the warehouses would not accept it.
    """
    found = table_name(name)
    if identifier(found) != found:
        raise Refused(
            f"{name} would give its source the name {found!r}, which SQL does not accept. Choose another: NAME=…"
        )
    return found


def check_name(name: str, variable: str) -> str:
    """Return a name that a person typed, if both warehouses accept it.

    Raises:
        Refused: they do not.
    """
    if (possible := identifier(name)) != name:
        raise Refused(
            f"{variable}={name} is not a name that both warehouses accept. Choose another, such as {possible}."
        )
    return name

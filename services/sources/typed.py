"""What a person typed beside `make source`: whether it can be done."""

import argparse

from blocks.errors import PlatformError
from services.sources.names import identifier, table_name
from services.sources.spec import Spec


class Refused(PlatformError):
    """What was typed cannot be done; nothing was written."""


def columns_of(key: str) -> list[str]:
    """The names in KEY=."""
    return [each.strip() for each in key.split(",") if each.strip()]


def from_connection(options: argparse.Namespace) -> str:
    """Return the stream that a person names beside FROM=connection, "" for all of them.

    Raises:
        Refused: FROM is another word, or what is beside it says nothing of streams.
    """
    if options.origin != "connection":
        raise Refused(
            f"FROM={options.origin} is not known. FROM=connection takes the streams of the Airbyte connection."
        )
    if beside := [each for each in ("file", "key", "mart") if getattr(options, each)]:
        raise Refused(f"{', '.join(each.upper() for each in beside)} does not go with FROM=connection. Leave it out.")
    return str(options.name)


def check_same(known: Spec, key: list[str], mart: str) -> None:
    """Make sure that a source that is there has the key and the aggregate that a person names.

    Raises:
        Refused: it has others.
    """
    raw = [known.by_name[name].raw for name in known.key if name in known.by_name]
    if (key and key not in (known.key, raw)) or (mart and mart != known.by_day):
        has = f"its key is {', '.join(known.key) or 'none'}, and its table by day is {known.by_day or 'none'}"
        raise Refused(
            f"The source {known.name} is there already: {has}. Leave KEY= and MART= out, or begin anew: "
            f"make source NAME={known.name} REMOVE=1."
        )


def of_file(name: str) -> str:
    """Return the name that a file's name gives its source.

    Raises:
        Refused: both warehouses would not take it.
    """
    found = table_name(name)
    if identifier(found) != found:
        raise Refused(f"{name} would give its source the name {found!r}, which SQL does not take. Choose one: NAME=…")
    return found


def named(name: str, variable: str) -> str:
    """Return a name that a person typed, if both warehouses take it.

    Raises:
        Refused: they do not.
    """
    if (possible := identifier(name)) != name:
        raise Refused(f"{variable}={name} is not a name that both warehouses take. Choose another, such as {possible}.")
    return name

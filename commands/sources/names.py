"""Names of columns and tables that both warehouses accept without quotes."""

import re
import unicodedata
from collections.abc import Iterable

MOST = 63
# The reserved words of DuckDB and Snowflake, and some words that either accepts only in quotes as a column.
WORDS = """
    all alter analyse analyze and anti any array as asc asof asymmetric at authorization between binary both by case
    cast check collate collation column concurrently connect constraint create cross current current_date
    current_time current_timestamp current_user default deferrable delete desc describe distinct do drop else end
    except exists false fetch following for foreign freeze from full glob grant group having ilike in increment
    initially inner insert intersect into is isnull join lambda lateral leading left like limit localtime
    localtimestamp minus natural not notnull null of offset on only or order outer over overlaps pivot pivot_longer
    pivot_wider placing positional primary qualify references regexp returning revoke right rlike row rows sample
    select semi set show similar some start summarize symmetric table tablesample then to trailing trigger true
    try_cast union unique unpack unpivot update using values variadic verbose when whenever where window with
"""
RESERVED = frozenset(WORDS.split())


def identifier(name: str, position: int = 1) -> str:
    """Return a name that both warehouses accept: lower-case ASCII letters, digits and underscores.

    Args:
        name: any text.
        position: the column's position, which names it if nothing of its own name is left.
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    found = re.sub("[^a-z0-9]+", "_", plain).strip("_")[:MOST].rstrip("_") or f"column_{position}"
    if found[0].isdigit():
        return f"_{found}"
    return f"{found}_" if found in RESERVED else found


def identifiers(names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return an identifier for each name, and a note for each name that had to change because another has it."""
    found: dict[str, str] = {}
    used: dict[str, str] = {}
    notes: list[str] = []
    for position, name in enumerate(names, start=1):
        wanted = chosen = identifier(name, position)
        number = 2
        while chosen in used:
            chosen, number = f"{wanted}_{number}", number + 1
        if chosen != wanted:
            notes.append(
                f"{used[wanted]!r} and {name!r} would both be called {wanted}, so the second is called {chosen}."
            )
        used[chosen] = name
        found[name] = chosen
    return found, notes


def table_name(stem: str) -> str:
    """Return the stream's name for a file: its name without suffixes and without a date at the end."""
    plain = stem.split(".", maxsplit=1)[0]
    dateless = re.sub(r"([-_. ]?(19|20)\d\d([-_.]?\d\d){0,2}|[-_. ]+\d+)$", "", plain)
    return identifier(dateless or plain).lstrip("_")

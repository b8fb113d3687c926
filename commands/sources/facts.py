"""Finds out what a file contains: its columns, its proven key, and what a person should know before it is a source."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from blocks.errors import PlatformError
from commands.sources.forms import NUMBERS, plain_number, strptime
from commands.sources.kinds import IS_NULL, Column, Columns
from commands.sources.names import identifiers
from commands.sources.reading import MEMORY, Reading
from services.airbyte.formats import sql
from services.airbyte.load.convert import connect

KEY_TYPES = ("bigint", "varchar", "text", "date", "timestamp", "timestamptz")
ID = re.compile(r"(^|_)(id|key|code|uuid|guid|no|nr|number|sku|iata|icao|faa|iso\d?)$|[a-z]id$")
MANY_COLUMNS = 50
"""From this many columns on, it is faster to read the file once into a table than once for each column."""
NO_KEY = re.compile("(^|_)(name|title|text|description|comments?|notes?|address)$")
"""Names of columns whose values may be unique by chance."""
LEADING = 4
"""How many of the first columns are tried for a key of several columns."""


class KeyRefused(PlatformError):
    """The key that a person named is not a key of the file."""


@dataclass(frozen=True)
class Facts:
    """A file, its columns in the file's order, and the identifiers of its key, which are empty if no key was found."""

    reading: Reading
    columns: list[Column]
    key: list[str]
    notes: list[str] = field(default_factory=list)
    days: str = ""
    """The column by whose days rows can be aggregated, or "" if there is none."""

    @property
    def by_name(self) -> dict[str, Column]:
        """The columns by identifier."""
        return {column.identifier: column for column in self.columns}


def facts_of(reading: Reading, key: Sequence[str], work: Path) -> Facts:
    """Examine every row of a file.

    Args:
        reading: the file.
        key: the key's columns, as the file or as SQL names them. If it is empty, a key is searched for.
        work: folder for data that does not fit into memory.

    Raises:
        KeyRefused: the given key is not unique, or lacks a value in some row.
    """
    names, notes = identifiers(reading.types)
    columns = [Column(name, type_, identifier=names[name]) for name, type_ in reading.types.items()]
    relation = f"read_parquet({sql.text(str(reading.raw))}, hive_partitioning = false)"
    connection = connect(MEMORY, None, work / "spill")
    if len(columns) > MANY_COLUMNS:
        connection.execute(f"CREATE TEMP TABLE rows_of_file AS FROM {relation}")
        relation = "rows_of_file"
    try:
        Columns(connection, relation, reading.rows).find_types(columns, reading.decimals, reading.is_text)
        keys = Keys(connection, relation, columns, reading.rows)
        found = keys.check(key) if key else keys.find()
    finally:
        connection.close()
    for column in columns:
        if count := reading.changed.get(column.name):
            column.notes.append(f"{count:,} values are truncated or null, because the type cannot hold them")
    days = [column.identifier for column in columns if column.type in ("date", "timestamp", "timestamptz")]
    return Facts(reading, columns, found, [*reading.notes, *notes], next(iter(days), ""))


class Keys:
    """Proves keys by counting all rows."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[Column], rows: int
    ) -> None:
        self._connection, self._relation, self._rows = connection, relation, rows
        self._columns = {column.identifier: column for column in columns}

    def check(self, key: Sequence[str]) -> list[str]:
        """Return a given key as identifiers.

        Raises:
            KeyRefused: it is not a key of the file.
        """
        identifiers_by_name = {
            name.lower(): each.identifier for each in self._columns.values() for name in (each.name, each.identifier)
        }
        if unknown := [name for name in key if name.lower() not in identifiers_by_name]:
            known = ", ".join(list(self._columns)[:20])
            raise KeyRefused(f"KEY names {', '.join(unknown)}, which the file does not have. Its columns are: {known}.")
        found = [identifiers_by_name[name.lower()] for name in key]
        if nullable := [name for name in found if self._columns[name].nulls]:
            counts = ", ".join(f"{name} in {self._columns[name].nulls:,} rows" for name in nullable)
            raise KeyRefused(f"KEY={','.join(key)} has rows without a value: {counts}. Choose columns without nulls.")
        if unsuitable := [name for name in found if self._columns[name].type not in KEY_TYPES]:
            types = ", ".join(f"{name} is {self._columns[name].type}" for name in unsuitable)
            raise KeyRefused(f"KEY={','.join(key)} cannot be a key: {types}. Choose text, whole numbers or times.")
        if self._distinct(found) < self._rows:
            raise KeyRefused(f"KEY={','.join(key)} is not unique: {self._duplicate(found)}. Add a column to the key.")
        return found

    def find(self) -> list[str]:
        """Return the most likely key: a column with a typical name, the first column, a date, or several columns."""
        return next((list(each) for each in self._candidates() if self._distinct(each) == self._rows), [])

    def _candidates(self) -> Iterator[tuple[str, ...]]:
        whole = [each for each in self._columns.values() if not each.nulls and each.type in KEY_TYPES]
        names = [each.identifier for each in whole]
        alone = [each.identifier for each in whole if each.distinct == self._rows]
        leading = [name for name in list(self._columns)[:LEADING] if name in names and not NO_KEY.search(name)]
        yield from ((name,) for name in alone if ID.search(name))
        yield from ((name,) for name in alone if name == next(iter(self._columns)) and not NO_KEY.search(name))
        yield from ((name,) for name in alone if self._columns[name].type in ("date", "timestamp", "timestamptz"))
        for width in range(2, len(leading) + 1):
            yield from filter(self._is_no_accident, itertools.combinations(leading, width))

    def _is_no_accident(self, key: Sequence[str]) -> bool:
        """Return whether a key of several columns has one that identifies things. Quantities may differ by chance."""
        return any(self._columns[name].type != "bigint" or ID.search(name) for name in key)

    def _distinct(self, key: Sequence[str]) -> int:
        values = ", ".join(value_of(self._columns[name]) for name in key)
        query = f"SELECT count(*) FROM (SELECT DISTINCT {values} FROM {self._relation})"
        return int((self._connection.execute(query).fetchone() or (0,))[0])

    def _duplicate(self, key: Sequence[str]) -> str:
        values = ", ".join(f"{value_of(self._columns[name])} AS k{at}" for at, name in enumerate(key))
        query = (
            f"SELECT {values}, count(*) AS n FROM {self._relation} GROUP BY ALL HAVING n > 1 ORDER BY n DESC LIMIT 1"
        )
        *found, count = self._connection.execute(query).fetchone() or (0,)
        return f"{', '.join(map(str, found))} occurs {count:,} times"


def value_of(column: Column) -> str:
    """Return SQL for a column's typed value in the Parquet file that the mock writes."""
    name = sql.name(column.name)
    if column.mock_type != "string":
        return name
    if column.type in ("varchar", "text"):
        return f"nullif({name}, '')" if column.type == "varchar" else name
    text = f"(CASE WHEN NOT {IS_NULL.replace('lower(t)', f'lower(trim({name}))')} THEN trim({name}) END)"
    if column.type == "boolean":
        return f"lower({text}) IN ('true', 't', 'yes', 'y')"
    if column.format in NUMBERS:
        return f"TRY_CAST({plain_number(text, column.format)} AS {column.type})"
    if column.format:
        return f"try_strptime({text}, {sql.text(strptime(column.format))})::{column.type}"
    return f"TRY_CAST({text} AS {column.type})"

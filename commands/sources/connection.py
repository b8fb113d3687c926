"""Turns the streams of the Airbyte connection into sources, from their rows in raw."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from blocks.errors import PlatformError
from blocks.hand_out import OfferedStream
from commands.sources.facts import Facts, facts_of
from commands.sources.names import identifier
from commands.sources.reading import Reading
from commands.sources.spec import Spec, spec_of
from services.airbyte.formats import sql

FILE = "_ab_source_file_url"


class StreamRefused(PlatformError):
    """A stream cannot become a source as it is. The message says what to do."""


def why_not(stream: OfferedStream) -> str:
    """Return why a stream cannot become a source now, and what to do, or "" if it can."""
    if not stream.columns:
        return f"raw has no table {stream.table} yet. Sync it first: make run FLOW=airbyte_sync"
    if (possible := identifier(stream.table)) != stream.table:
        return (
            f"its table {stream.table} has a name that SQL accepts only in quotes. "
            f"Rename the stream, for example to {possible}"
        )
    if FILE not in stream.columns:
        return f"its rows do not come from files (raw has no {FILE}). Declare it in sources.yml by hand: docs/dbt.md"
    return ""


def reading_of(stream: OfferedStream, rows: Path) -> Reading:
    """Read the rows of a stream, which a Parquet file has as raw has them, like those of a file.

    Raises:
        StreamRefused: the stream has no rows.
    """
    with duckdb.connect() as connection:
        relation = f"read_parquet({sql.text(str(rows))}, hive_partitioning = false)"
        found = connection.execute(f"DESCRIBE FROM {relation}").fetchall()
        (count,) = connection.execute(f"SELECT count(*) FROM {relation}").fetchone() or (0,)
    if not count:
        raise StreamRefused(f"raw has no row of {stream.name}. Sync it again once its source has rows.")
    decimals = {name: type_.lower() for name, type_, *_ in found if type_.startswith("DECIMAL")}
    types = {name: "string" if name in decimals else sql.column_type(type_) for name, type_, *_ in found}
    kind = "raw" if set(types.values()) == {"string"} and not decimals else "typed"
    return Reading(Path(f"raw.{stream.table}"), rows, kind, count, types, {}, decimals=decimals)


def facts_of_stream(stream: OfferedStream, rows: Path, work: Path) -> Facts:
    """Examine every row of a stream. Its key is the one that Airbyte declares, or none.

    Raises:
        StreamRefused: the stream has no rows, or raw lacks a column of the key.
    """
    facts = facts_of(reading_of(stream, rows), [], work)
    if not stream.key:
        return facts
    names = {column.name.lower(): column.identifier for column in facts.columns}
    if missing := [name for name in stream.key if name.lower() not in names]:
        raise StreamRefused(f"raw lacks {', '.join(missing)}, the key of {stream.name}. Correct the key in Airbyte.")
    return replace(facts, key=[names[name.lower()] for name in stream.key])


def spec_of_stream(stream: OfferedStream, facts: Facts) -> Spec:
    """Return the spec to declare for a stream.

    Airbyte's key need not be unique in raw, because raw has each row's history.
    """
    spec = spec_of(stream.table, facts)
    if not stream.key:
        return spec
    reason = f"The key that Airbyte declares for the stream {stream.name}."
    tests = [replace(test, reason=reason) if test.kind == "primary_key" else test for test in spec.tests]
    return replace(spec, tests=tests)


def describe_streams(streams: Sequence[OfferedStream], declared: set[str]) -> list[tuple[str, str, str, str]]:
    """Return each stream's name, connection and key, and whether it is declared or new, or why it is refused."""
    return [
        (
            each.name,
            each.connection,
            ", ".join(each.key) or "none",
            "is declared" if each.table in declared else why_not(each) or f"is new, with {len(each.columns)} columns",
        )
        for each in streams
    ]

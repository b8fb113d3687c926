"""Finds relations in a file: columns that refer to other tables' keys, and how soon the next file is due."""

import itertools
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median

import duckdb

from blocks.errors import counted
from commands.sources.facts import Facts, value_of
from commands.sources.kinds import Column
from commands.sources.project import Project
from commands.sources.reading import MEMORY
from commands.sources.spec import TestSpec
from services.airbyte.formats import sql
from services.airbyte.load.convert import connect

REFERRING_TYPES = ("bigint", "varchar", "text")
MIN_DAYS = 5
"""How many different days a file must have before the gaps between them are meaningful."""


def relationships(facts: Facts, project: Project, published: Path, work: Path) -> list[TestSpec]:
    """Return a test for each column whose values are all keys of a published table that its name points to.

    Args:
        facts: the file's.
        project: the project whose marts the file may refer to.
        published: the file with the published tables, which need not exist.
        work: folder for data that does not fit into memory.
    """
    if not published.exists():
        return []
    marts = {path.stem for path in (project.models / "marts").glob("*.sql")}
    connection = connect(MEMORY, None, work / "spill")
    try:
        connection.execute(f"ATTACH {sql.text(str(published))} AS published (READ_ONLY)")
        return [test for column in facts.columns for test in _of_column(connection, facts, column, marts)]
    except duckdb.Error:  # for example, another process is replacing the file
        return []
    finally:
        connection.close()


def _of_column(
    connection: duckdb.DuckDBPyConnection, facts: Facts, column: Column, marts: set[str]
) -> Iterator[TestSpec]:
    if column.type not in REFERRING_TYPES or column.distinct < 2 or facts.key == [column.identifier]:
        return
    query = "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'published' ORDER BY ALL"
    for table, key in connection.execute(query).fetchall():
        if table in marts and _points_to(column.identifier, table, key) and _is_key(connection, table, key):
            file = f"read_parquet({sql.text(str(facts.reading.raw))}, hive_partitioning = false)"
            values = f"SELECT ({value_of(column)})::VARCHAR AS v FROM {file}"
            keys = f"SELECT {sql.name(key)}::VARCHAR FROM published.main.{sql.name(table)}"
            if connection.execute(f"SELECT count(*) FROM ({values}) WHERE v NOT IN ({keys})").fetchone() == (0,):
                rows = f"all {counted(facts.reading.rows, 'row')} of {facts.reading.file.name}"
                arguments = {"to": f"ref('{table}')", "field": key}
                yield TestSpec("relationships", arguments, f"Every value in {rows} is a key there.", column.identifier)
                return


def _points_to(column: str, table: str, key: str) -> bool:
    """Return whether a column is named like a table's key, with or without the table's name before it."""
    thing = table.removeprefix("dim_").removeprefix("fct_")
    return column == key.lower() or column in (f"{thing}_{key}", f"{thing.removesuffix('s')}_{key}")


def _is_key(connection: duckdb.DuckDBPyConnection, table: str, key: str) -> bool:
    name = sql.name(key)
    query = f"SELECT count(*) > 1 AND count(*) = count(DISTINCT {name}) FROM published.main.{sql.name(table)}"
    return connection.execute(query).fetchone() == (True,)


def days_until_stale(facts: Facts, work: Path) -> int:
    """Return after how many days without a file a source is late, judging by its rows' days, or 0 if unknown."""
    column = facts.by_name.get(facts.days)
    if column is None:
        return 0
    file = f"read_parquet({sql.text(str(facts.reading.raw))}, hive_partitioning = false)"
    connection = connect(MEMORY, None, work / "spill")
    try:
        query = f"SELECT DISTINCT ({value_of(column)})::DATE AS day FROM {file} WHERE day IS NOT NULL"
        return late_after(day for (day,) in connection.execute(query).fetchall())
    except duckdb.Error:
        return 0
    finally:
        connection.close()


def late_after(days: Iterable[date]) -> int:
    """Return twice the usual gap between some days, plus one.

    Return 0 if the days do not tell: there are too few, or the newest is so old that no next file seems to be due.
    """
    known = sorted(set(days))
    if len(known) < MIN_DAYS:
        return 0
    late = 2 * math.ceil(median((after - before).days for before, after in itertools.pairwise(known))) + 1
    return late if 0 <= (datetime.now(UTC).date() - known[-1]).days <= late else 0

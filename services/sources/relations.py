"""What a file says beside its own columns: whose keys its values are, and how often the next file is due."""

import itertools
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median

import duckdb

from blocks.errors import counted
from services.airbyte import sql
from services.airbyte.convert import connect
from services.sources.facts import Facts, value_of
from services.sources.kinds import Column
from services.sources.project import Project
from services.sources.reading import MEMORY
from services.sources.spec import TestSpec

REFERRING = ("bigint", "varchar", "text")
DAYS = 5
"""Different days that a file must have before their distance says anything."""


def relationships(facts: Facts, project: Project, published: Path, work: Path) -> list[TestSpec]:
    """A test for each column all of whose values are the key of a published table that its name leads to.

    Args:
        facts: of the file.
        project: whose marts may be referred to.
        published: the file of the published tables, which may not be there.
        work: folder for what does not fit into memory.
    """
    if not published.exists():
        return []
    marts = {path.stem for path in (project.models / "marts").glob("*.sql")}
    connection = connect(MEMORY, None, work / "spill")
    try:
        connection.execute(f"ATTACH {sql.text(str(published))} AS published (READ_ONLY)")
        return [test for column in facts.columns for test in _of_column(connection, facts, column, marts)]
    except duckdb.Error:  # another process replaces the file at this moment, say
        return []
    finally:
        connection.close()


def _of_column(
    connection: duckdb.DuckDBPyConnection, facts: Facts, column: Column, marts: set[str]
) -> Iterator[TestSpec]:
    if column.type not in REFERRING or column.distinct < 2 or facts.key == [column.identifier]:
        return
    query = "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'published' ORDER BY ALL"
    for table, key in connection.execute(query).fetchall():
        if table in marts and _leads_to(column.identifier, table, key) and _is_key(connection, table, key):
            file = f"read_parquet({sql.text(str(facts.reading.raw))}, hive_partitioning = false)"
            values = f"SELECT ({value_of(column)})::VARCHAR AS v FROM {file}"
            keys = f"SELECT {sql.name(key)}::VARCHAR FROM published.main.{sql.name(table)}"
            if connection.execute(f"SELECT count(*) FROM ({values}) WHERE v NOT IN ({keys})").fetchone() == (0,):
                rows = f"all {counted(facts.reading.rows, 'row')} of {facts.reading.file.name}"
                arguments = {"to": f"ref('{table}')", "field": key}
                yield TestSpec("relationships", arguments, f"Every value in {rows} is a key there.", column.identifier)
                return


def _leads_to(column: str, table: str, key: str) -> bool:
    """Whether a column's name says that it has the keys of a table: the key's own, or the table's before it."""
    thing = table.removeprefix("dim_").removeprefix("fct_")
    return column == key.lower() or column in (f"{thing}_{key}", f"{thing.removesuffix('s')}_{key}")


def _is_key(connection: duckdb.DuckDBPyConnection, table: str, key: str) -> bool:
    name = sql.name(key)
    query = f"SELECT count(*) > 1 AND count(*) = count(DISTINCT {name}) FROM published.main.{sql.name(table)}"
    return connection.execute(query).fetchone() == (True,)


def days_until_stale(facts: Facts, work: Path) -> int:
    """After how many days without a file a source is late, by the days of its rows; 0 where these do not tell."""
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
    """Twice the usual distance of some days, and one.

    It is 0 where the days do not tell: there are few, or the newest is so long ago that no next file seems to be due.
    """
    known = sorted(set(days))
    if len(known) < DAYS:
        return 0
    late = 2 * math.ceil(median((after - before).days for before, after in itertools.pairwise(known))) + 1
    return late if 0 <= (datetime.now(UTC).date() - known[-1]).days <= late else 0

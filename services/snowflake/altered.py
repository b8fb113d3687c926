"""INFORMATION_SCHEMA.TABLES as in Snowflake: with views, and with the time of the last DML or DDL.

fakesnow's version has no views and returns 1970 for each table.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import duckdb
import sqlglot
from sqlglot import Expr, exp

METADATA_SCHEMA = "_fs_global._fs_information_schema"
"""The schema in which fakesnow keeps its metadata. We keep ours there, too."""
RELATION = f"{METADATA_SCHEMA}._fs_altered"
CREATION = f"create table if not exists {RELATION} (catalog varchar, schema varchar, name varchar, altered timestamptz, primary key (catalog, schema, name))"  # noqa: E501 - one statement on one line
_CHANGES = (exp.Alter, exp.Copy, exp.Create, exp.Delete, exp.Drop, exp.Insert, exp.Merge, exp.TruncateTable, exp.Update)
_TABLES_AND_VIEWS = """
    select t.* replace (coalesce(a.altered, t.last_altered) as last_altered)
    from {schema}._fs_tables as t
    left join {altered} as a on (a.catalog, a.schema, a.name) = (t.table_catalog, t.table_schema, t.table_name)
    union all by name
    select v.table_catalog, v.table_schema, v.table_name, v.table_owner, 'VIEW' as table_type, v.created,
        coalesce(a.altered, v.last_altered) as last_altered, v.last_ddl, v.last_ddl_by, v.comment
    from {schema}._fs_views as v
    left join {altered} as a on (a.catalog, a.schema, a.name) = (v.table_catalog, v.table_schema, v.table_name)
"""


def record_change(
    connection: duckdb.DuckDBPyConnection, statement: Expr, database: str | None, schema: str | None
) -> None:
    """Record that a finished statement has altered its table or view. `database` and `schema` are the session's.

    The record is written outside of the session's transaction, because DuckDB lets it write to one database only.
    """
    for table in _changed_tables(statement):
        name = [table.catalog or database, table.db or schema, table.name]
        with connection.cursor() as cursor:
            cursor.execute(f"insert or replace into {RELATION} values (?, ?, ?, ?)", [*name, datetime.now(UTC)])  # noqa: S608


def _changed_tables(statement: Expr) -> Iterator[exp.Table]:
    if isinstance(statement, _CHANGES) and (target := statement.find(exp.Table)):
        yield target
        for rename in statement.find_all(exp.AlterRename):
            yield rename.this


def with_views_and_times(statement: Expr) -> Expr:
    """Replace INFORMATION_SCHEMA.TABLES in a statement by a query that also returns views and the times of changes."""
    for table in list(statement.find_all(exp.Table)):
        if (table.db.upper(), table.name.upper()) == ("_FS_INFORMATION_SCHEMA", "_FS_TABLES"):
            schema = ".".join(filter(None, [table.catalog, table.db]))
            rows = sqlglot.parse_one(_TABLES_AND_VIEWS.format(schema=schema, altered=RELATION), read="duckdb")
            table.replace(exp.alias_(exp.Subquery(this=rows), table.alias or "TABLES", table=True))
    return statement

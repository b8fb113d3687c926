"""Make names case-sensitive, as they are in Snowflake: quoted names keep their case, but DuckDB ignores it.

A statement fails, as on Snowflake, if a name is written in another case than DuckDB's object has.
"""

from collections import defaultdict
from collections.abc import Iterable

from duckdb import DuckDBPyConnection
from snowflake.connector.errors import ProgrammingError
from sqlglot import Expr, exp
from sqlglot.optimizer.scope import traverse_scope

from services.snowflake.errors import unsupported

_COLUMNS = """
    select column_name, data_type from duckdb_columns()
    where upper(database_name) = upper(?) and upper(schema_name) = upper(?) and upper(table_name) = upper(?)
    order by column_index
"""
_TABLES = """
    select database_name, schema_name, table_name from (
        select database_name, schema_name, table_name from duckdb_tables()
        union all select database_name, schema_name, view_name from duckdb_views()
    ) where upper(database_name) = upper(?) and upper(schema_name) = upper(?) and upper(table_name) = upper(?)
"""

_LISTS = {
    "DATABASE": "select database_name from duckdb_databases() where not internal",
    "SCHEMA": "select database_name, schema_name from duckdb_schemas() where not internal or schema_name = 'main'",
    "TABLE": "select database_name, schema_name, table_name from duckdb_tables()",
    "VIEW": "select database_name, schema_name, view_name from duckdb_views() where not internal",
}


class Names:
    """Looks up the objects that a session's statements can name.

    Args:
        connection: the session's connection, which also sees the objects of its open transaction.
        database: the session's current database.
        schema: the session's current schema.
    """

    def __init__(self, connection: DuckDBPyConnection, database: str | None, schema: str | None) -> None:
        self._connection, self._database, self._schema = connection, database, schema

    def columns(self, table: exp.Table) -> list[tuple[str, exp.DataType]]:
        """Return a table's columns with their types in DuckDB, in order; empty if the table does not exist."""
        found = self._connection.execute(_COLUMNS, self.path(table)).fetchall()
        return [(name, exp.DataType.build(kind, dialect="duckdb", udt=True)) for name, kind in found]

    def exists(self, kind: str, name: str) -> bool:
        """Return whether a TABLE, VIEW, SCHEMA or DATABASE with this full name exists."""
        return name in self.objects(kind, name.partition(".")[0] if kind == "DATABASE" else name.rpartition(".")[0])

    def objects(self, kind: str, container: str) -> list[str]:
        """Return the full names of all objects of a kind in a schema or database."""
        if kind not in _LISTS:
            return []
        found = [".".join(row) for row in self._connection.execute(_LISTS[kind]).fetchall()]
        return [name for name in found if kind == "DATABASE" or name.startswith(f"{container}.")]

    def check(self, statement: Expr) -> None:
        """Refuse names in the wrong case.

        Args:
            statement: a statement whose unquoted names are in upper case.

        Raises:
            ProgrammingError: DuckDB would find another object or column for a name.
        """
        used = [table for table in tables(statement) if table.name]
        for table in used:
            self._check_table(table, creates=isinstance(statement, exp.Create) and table is statement.find(exp.Table))
        columns = [self.columns(table) for table in used]
        if not all(columns):  # INFORMATION_SCHEMA, or a table that does not exist
            return
        known = {name for each in columns for name, _ in each} | set(_defined_names(statement))
        by_upper = defaultdict(set)
        for name in known:
            by_upper[name.upper()].add(name)
        for column in statement.find_all(exp.Column):
            if column.name not in known and column.name.upper() in by_upper:
                shown = f'"{column.name}"' if column.name != column.name.upper() else column.name
                raise ProgrammingError(
                    msg=f"SQL compilation error:\ninvalid identifier '{shown}'", errno=904, sqlstate="42000"
                )

    def _check_table(self, table: exp.Table, *, creates: bool) -> None:
        path = self.path(table)
        found = [tuple(row) for row in self._connection.execute(_TABLES, path).fetchall()]
        if not found or tuple(path) in found or path[1].upper() in ("INFORMATION_SCHEMA", "_FS_INFORMATION_SCHEMA"):
            return
        if creates:
            raise unsupported(
                f"the emulator cannot have objects whose names differ only by case, and {'.'.join(found[0])} exists."
            )
        named = ".".join(part if part == part.upper() else f'"{part}"' for part in path)
        raise ProgrammingError(
            msg=f"SQL compilation error:\nObject '{named}' does not exist or not authorized.",
            errno=2003,
            sqlstate="42S02",
        )

    def path(self, table: exp.Table) -> list[str]:
        """Return a table's database, schema and name."""
        return [table.catalog or self._database or "", table.db or self._schema or "", table.name]


def tables(statement: Expr) -> list[exp.Table]:
    """Return the tables and views of a statement, without the names of its WITH clause."""
    named = {cte.alias for cte in statement.find_all(exp.CTE)}
    kinds = (
        exp.Query,
        exp.Insert,
        exp.Update,
        exp.Delete,
        exp.Merge,
        exp.Alter,
        exp.Drop,
        exp.TruncateTable,
        exp.Create,
    )
    if not isinstance(statement, kinds):
        return []
    if isinstance(statement, (exp.Alter, exp.Drop, exp.Create)) and statement.args.get("kind") not in ("TABLE", "VIEW"):
        return []
    return [table for table in statement.find_all(exp.Table) if table.db or table.name not in named]


def _defined_names(statement: Expr) -> Iterable[str]:
    """Yield the names that the statement itself defines."""
    for alias in statement.find_all(exp.Alias):
        yield alias.alias
    for table in statement.find_all(exp.TableAlias):
        yield from (column.name for column in table.columns)
        yield table.name
    for scope in traverse_scope(statement):
        yield from scope.sources

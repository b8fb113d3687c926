"""Record which columns are OBJECTs and which are ARRAYs: both are JSON in DuckDB, like a VARIANT.

They are recorded after a statement has created a table or a view. DESCRIBE and INFORMATION_SCHEMA.COLUMNS show them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from duckdb import DuckDBPyConnection
from fakesnow import info_schema
from sqlglot import Expr, exp

from services.snowflake.altered import METADATA_SCHEMA
from services.snowflake.names import Names
from services.snowflake.numbers import Scales

_RELATION = f"{METADATA_SCHEMA}._fs_nested"
_TABLE = "(catalog, schema, name) = (?, ?, ?)"
_KINDS = {exp.DType.OBJECT: 1, exp.DType.ARRAY: 2}
_TYPES = {number: kind for kind, number in _KINDS.items()}
_OBJECTS = (exp.Struct, exp.JSONObject, exp.ObjectAgg)
_ARRAYS = (exp.Array, exp.ArrayAgg, exp.Split, exp.ArrayConcat, exp.ArrayConstructCompact)
_KEEPS_KIND = (exp.Paren, exp.Alias, exp.AnyValue, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.Window,
               exp.Filter, exp.Coalesce, exp.Nullif)  # fmt: skip

_FAKESNOW_CASE = "when columns.data_type='JSON' then 'VARIANT'"
_OUR_CASE = f"""when columns.data_type='JSON' then coalesce((
    select kind from {_RELATION} as nested where (nested.catalog, nested.schema, nested.name, nested.column_name)
        = (columns.table_catalog, columns.table_schema, columns.table_name, columns.column_name)), 'VARIANT')"""  # noqa: S608
CREATION = (
    f"create table if not exists {_RELATION} (catalog varchar, schema varchar, name varchar, column_name varchar, "
    "kind varchar, primary key (catalog, schema, name, column_name));"
    + info_schema.SQL_CREATE_GLOBAL_INFORMATION_SCHEMA_COLUMNS_VIEW.replace(_FAKESNOW_CASE, _OUR_CASE).replace(
        "create view if not exists", "create or replace view"
    )
)


class Kinds(Scales):
    """Finds out which expressions are OBJECTs and which are ARRAYs: the numbers of `_KINDS`, or None for all others."""

    def of_type(self, kind: exp.DataType) -> int | None:
        return _KINDS.get(kind.this)

    def of_query(self, query: Expr) -> dict[str, int | None]:
        """Return the kind of each column of a query."""
        return self._of_query(query)

    def _find(self, node: Expr) -> int | None:
        if isinstance(node, exp.Cast):
            return self.of_type(node.to)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, _KEEPS_KIND):
            return self.scale(node.this)
        return 1 if isinstance(node, _OBJECTS) else 2 if isinstance(node, _ARRAYS) else None


def columns(connection: DuckDBPyConnection, names: Names, table: exp.Table) -> list[tuple[str, exp.DataType]]:
    """Return a table's columns with their types in DuckDB, or with OBJECT or ARRAY where these are recorded."""
    path = names.path(table)
    query = f"select column_name, kind from {_RELATION} where {_TABLE}"  # noqa: S608
    kinds: dict[str, str] = dict(connection.execute(query, path).fetchall())
    return [
        (name, exp.DataType(this=exp.DType[kinds[name]]) if name in kinds else type_)
        for name, type_ in names.columns(table)
    ]


def effect(connection: DuckDBPyConnection, statement: Expr, names: Names) -> Callable[[], None] | None:
    """Return a function that records the columns that a statement creates, renames or drops, to call after it has run.

    Args:
        connection: the session's connection.
        statement: the client's statement, with names in upper case.
        names: looks up the session's objects.
    """
    target = statement.find(exp.Table)
    kind = str(statement.args.get("kind") or "").upper()
    if target is None or kind not in ("TABLE", "VIEW") or not isinstance(statement, (exp.Create, exp.Alter, exp.Drop)):
        return None
    path = names.path(target)
    if isinstance(statement, exp.Drop):
        return lambda: _record(connection, path, {})
    if isinstance(statement, exp.Create):
        if statement.args.get("exists") and names.columns(target):
            return None
        made = _created_kinds(statement, lambda table: columns(connection, names, table))
        return lambda: _record(connection, path, made)
    return lambda: _alter(connection, path, statement)


def _created_kinds(
    statement: exp.Create, known: Callable[[exp.Table], Sequence[tuple[str, exp.DataType]]]
) -> dict[str, int]:
    found: dict[str, int | None] = {}
    if isinstance(statement.expression, exp.Query):
        found = Kinds.of(statement, known).of_query(statement.expression)
    if like := statement.find(exp.LikeProperty):
        found = {name: _KINDS.get(type_.this) for name, type_ in known(like.this)}
    if isinstance(statement.this, exp.Schema):
        defined = statement.this.expressions
        renamed = [each.name for each in defined]
        found = dict(zip(renamed, found.values(), strict=False))
        found |= {
            each.name: _KINDS.get(each.kind.this) for each in defined if isinstance(each, exp.ColumnDef) and each.kind
        }
    return {name: kind for name, kind in found.items() if kind}


def _record(connection: DuckDBPyConnection, path: Sequence[str], kinds: Mapping[str, int]) -> None:
    """Replace the recorded kinds of a table's columns.

    The record is written outside of the session's transaction, because DuckDB lets it write to one database only.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"delete from {_RELATION} where {_TABLE}", path)  # noqa: S608
        for name, kind in kinds.items():
            cursor.execute(f"insert into {_RELATION} values (?, ?, ?, ?, ?)", [*path, name, _TYPES[kind].value])  # noqa: S608


def _alter(connection: DuckDBPyConnection, path: Sequence[str], statement: exp.Alter) -> None:
    with connection.cursor() as cursor:
        for action in statement.actions:
            for sql, values in _changes(action, path):
                cursor.execute(sql, values)


def _changes(action: Expr, path: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the statements that update the record for an action of ALTER TABLE."""
    where = f"where {_TABLE}"
    match action:
        case exp.AlterRename():
            new = [action.this.db or path[1], action.this.name]
            yield f"delete from {_RELATION} {where}", [path[0], *new]  # noqa: S608
            yield f"update {_RELATION} set schema = ?, name = ? {where}", [*new, *path]  # noqa: S608
        case exp.RenameColumn():
            renamed = [action.args["to"].name, *path, action.this.name]
            yield f"update {_RELATION} set column_name = ? {where} and column_name = ?", renamed  # noqa: S608
        case exp.ColumnDef() if action.kind and action.kind.this in _KINDS:
            added = [*path, action.name, action.kind.this.value]
            yield f"insert or ignore into {_RELATION} values (?, ?, ?, ?, ?)", added  # noqa: S608
        case exp.Drop():
            for column in action.args["tables"]:
                yield f"delete from {_RELATION} {where} and column_name = ?", [*path, column.name]  # noqa: S608

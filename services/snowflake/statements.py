"""Rewrite or refuse Snowflake statements that DuckDB or fakesnow do not have in this form."""

import re
from collections.abc import Callable

import sqlglot
from fakesnow.transforms import SUCCESS_NOP
from sqlglot import Expr, exp

from services.snowflake.errors import unsupported
from services.snowflake.sessions import Session

Exists = Callable[[exp.Table], bool]

_TIME_TRAVEL = re.compile(r"\s*(undrop)\b|\b(at|before)\s*\(\s*(timestamp|offset|statement)\s*=>", re.IGNORECASE)
_KEYS = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference)
_TABLE_KEYS = (exp.PrimaryKey, exp.UniqueColumnConstraint, exp.ForeignKey)
_KEYS_SHOWN = ("PRIMARY KEYS", "UNIQUE KEYS", "IMPORTED KEYS", "EXPORTED KEYS")
_UTC = ("UTC", "ETC/UTC", "GMT", "ETC/GMT")


def time_travel_refusal(sql: str) -> str | None:
    """Return why a statement with UNDROP or Time Travel is refused, or None for any other statement."""
    if found := _TIME_TRAVEL.search(sql):
        word = (found[1] or found[2]).upper()
        return f"Unsupported feature {word!r}: the emulator has no Time Travel, so it keeps no dropped or changed data."
    return None


def as_duckdb(statement: Expr, session: Session, exists: Exists) -> Expr:
    """Return the statement in a form that fakesnow can run.

    Args:
        statement: the client's statement. Unquoted names are in upper case.
        session: the session of the statement.
        exists: returns whether a table exists.

    Raises:
        ProgrammingError: the emulator cannot run the statement.
    """
    match statement:
        case exp.Create(kind="TABLE") if isinstance(statement.this, exp.Schema):
            _without_keys(statement.this)
            if not statement.expression:
                _with_lengths(statement.this)
        case exp.Drop(kind="TABLE" | "VIEW") if statement.args.get("exists"):
            table = statement.find(exp.Table)
            if table and not exists(table):
                message = f"Drop statement executed successfully ({table.name} already dropped)."
                return exp.select(exp.alias_(exp.Literal.string(message), "status"))
        case exp.Show() if statement.name.upper() in _KEYS_SHOWN:
            raise unsupported("the emulator does not store keys. Read them from the statements that create the tables.")
        case exp.TruncateTable() if statement.args.get("exists"):
            statement.set("exists", None)
            return statement if exists(statement.expressions[0]) else SUCCESS_NOP.copy()
        case exp.Alter(kind="TABLE") if all(isinstance(each, exp.AddConstraint) for each in statement.actions):
            return SUCCESS_NOP.copy()
        case exp.Alter(kind="SESSION"):
            return _accept_parameters(statement)
    return statement.transform(lambda node: _replace_context_function(node, session))


def as_renames(statement: Expr) -> list[Expr]:
    """Replace ALTER TABLE … SWAP WITH by three renames. Return any other statement unchanged."""
    if not (isinstance(statement, exp.Alter) and statement.actions and isinstance(statement.actions[0], exp.SwapTable)):
        return [statement]
    one, other = statement.this, statement.actions[0].this
    if (one.catalog, one.db) != (other.catalog, other.db):
        raise unsupported("the emulator can swap only tables in the same schema. Name the schema of both, or of none.")
    temporary_name = exp.to_identifier(f"_SWAPPED_{one.name}", quoted=True)
    steps = ((one, temporary_name), (other, one.this), (_with_new_name(one, temporary_name), other.this))
    return [
        sqlglot.parse_one(f"alter table {old.sql('snowflake')} rename to {new.sql('snowflake')}", read="snowflake")
        for old, new in steps
    ]


def _with_new_name(table: exp.Table, name: exp.Identifier) -> exp.Table:
    new = table.copy()
    new.set("this", name.copy())
    return new


def _without_keys(schema: exp.Schema) -> None:
    """Remove keys, which Snowflake does not enforce, but keep NOT NULL for the columns of a primary key."""
    primary = {
        column.name
        for key in schema.expressions
        for found in key.find_all(exp.PrimaryKey)
        for column in found.expressions
    }
    for definition in list(schema.expressions):
        if not isinstance(definition, exp.ColumnDef):
            if isinstance(definition, _TABLE_KEYS) or definition.find(*_TABLE_KEYS):
                definition.pop()
            continue
        for constraint in list(definition.constraints):
            if isinstance(constraint.args.get("kind"), _KEYS) or isinstance(constraint, _KEYS):
                if isinstance(constraint.args.get("kind"), exp.PrimaryKeyColumnConstraint):
                    primary.add(definition.name)
                constraint.pop()
        if definition.name in primary and not definition.find(exp.NotNullColumnConstraint):
            definition.append("constraints", exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))


def _with_lengths(schema: exp.Schema) -> None:
    """Add checks for the lengths of VARCHARs, which DuckDB ignores."""
    for definition in schema.find_all(exp.ColumnDef):
        kind = definition.kind
        if kind and kind.this in exp.DataType.TEXT_TYPES and (kind.expressions or kind.this == exp.DType.CHAR):
            limit = kind.expressions[0].this.copy() if kind.expressions else exp.convert(1)
            fits = exp.LTE(this=exp.Length(this=exp.column(definition.this.copy())), expression=limit)
            check = exp.CheckColumnConstraint(this=fits)
            definition.append("constraints", exp.ColumnConstraint(kind=check))


def _accept_parameters(statement: exp.Alter) -> Expr:
    """Accept session parameters that have no effect here. fakesnow handles AUTOCOMMIT and refuses the rest."""
    setting = statement.find(exp.AlterSession)
    items = list(setting.expressions) if setting else []
    for item in items:
        pair = item.this
        name = (pair.this.name if isinstance(pair, exp.EQ) else item.name or pair.name).upper()
        value = pair.expression.name.upper() if isinstance(pair, exp.EQ) else ""
        if name == "TIMEZONE" and value not in ("", *_UTC):
            raise unsupported(
                f"the emulator's sessions are in UTC, so TIMEZONE cannot be {value!r}. Use CONVERT_TIMEZONE."
            )
        if name not in ("TIMEZONE", "QUERY_TAG"):
            return statement
    return SUCCESS_NOP.copy()


def _replace_context_function(node: Expr, session: Session) -> Expr:
    values: dict[type[Expr], tuple[str, str]] = {
        exp.CurrentWarehouse: ("CURRENT_WAREHOUSE()", session.warehouse),
        exp.CurrentRole: ("CURRENT_ROLE()", session.role),
        exp.CurrentUser: ("CURRENT_USER()", session.user),
        exp.CurrentAccount: ("CURRENT_ACCOUNT()", session.account),
    }
    if type(node) not in values:
        return node
    name, value = values[type(node)]
    literal = exp.Literal.string(value) if value else exp.Null()
    return exp.alias_(literal, name, quoted=True) if isinstance(node.parent, exp.Select) else literal

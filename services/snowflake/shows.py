"""SHOW as Snowflake filters it, whatever is shown: fakesnow filters some kinds of objects by LIKE, and none by more."""

from fakesnow.transforms import show
from sqlglot import Expr, exp

_COLUMNS_VIEW = show.SQL_CREATE_VIEW_SHOW_COLUMNS.replace("create view if not exists", "create or replace view")
CREATION = _COLUMNS_VIEW.replace(
    'END as "data_type"',
    """END.replace('"nullable":true', '"nullable":' || (is_nullable = 'YES')::varchar) as "data_type\"""",
)
"""The view of SHOW COLUMNS, in which fakesnow calls every column nullable."""


def filtered(rows: Expr, statement: exp.Show) -> Expr:
    """Return a SHOW's rows as its LIKE, STARTS WITH and LIMIT … FROM ask for them.

    Args:
        rows: the query that fakesnow made of the statement.
        statement: the client's.
    """
    like, starts = statement.args.get("like"), statement.args.get("starts_with")
    limit, after = statement.args.get("limit"), statement.args.get("from_")
    if not isinstance(rows, exp.Query) or not (like or starts or limit):
        return rows
    name = exp.column("column_name" if statement.name.upper() == "COLUMNS" else "name", quoted=True)
    query = exp.select("*").from_(rows.subquery("shown"))
    if like:
        query = query.where(exp.ILike(this=name, expression=like.copy()))
    if starts:
        query = query.where(exp.StartsWith(this=name, expression=starts.copy()))
    if after:
        query = query.where(exp.GT(this=name, expression=after.copy()))
    return query.limit(limit.expression.copy()) if limit else query

"""Filter the results of SHOW as Snowflake does. fakesnow supports only LIKE, and only for some kinds of objects."""

from fakesnow.transforms import show
from sqlglot import Expr, exp

_COLUMNS_VIEW = show.SQL_CREATE_VIEW_SHOW_COLUMNS.replace("create view if not exists", "create or replace view")
CREATION = _COLUMNS_VIEW.replace(
    'END as "data_type"',
    """END.replace('"nullable":true', '"nullable":' || (is_nullable = 'YES')::varchar) as "data_type\"""",
)
"""The view for SHOW COLUMNS with the right nullability. In fakesnow's view, every column is nullable."""


def apply_filters(rows: Expr, statement: exp.Show) -> Expr:
    """Apply LIKE, STARTS WITH and LIMIT … FROM of a SHOW.

    Args:
        rows: fakesnow's query for the statement.
        statement: the client's statement.
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

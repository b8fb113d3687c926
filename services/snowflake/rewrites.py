"""Rewrite statements of dbt-snowflake that DuckDB cannot run in the form that fakesnow gives them."""

import re

import sqlglot
from sqlglot import Expr, exp
from sqlglot.errors import ParseError

_QUERY_TAG = re.compile(r"\s*alter\s+session\s+(set|unset)\s+query_tag\b", re.IGNORECASE)
_COMMENTS = r"(?:\s*/\*.*?\*/)*\s*"  # dbt adds a comment before or after its statements
_CANCEL = re.compile(
    rf"{_COMMENTS}select\s+system\$cancel_all_queries\s*\([^()]*\)\s*;?{_COMMENTS}", re.IGNORECASE | re.DOTALL
)
_EXECUTED = "select 'Statement executed successfully.' as status"
_MAY_NEED_CHANGE = re.compile(r"\b(merge|temp|temporary)\b", re.IGNORECASE)


def rewrite(sql: str) -> str:
    """Return the statement in the form that the emulator runs. A statement that cannot be parsed is unchanged."""
    if _QUERY_TAG.match(sql):
        return _EXECUTED
    if _CANCEL.fullmatch(sql):  # dbt --fail-fast; nothing is left to cancel, because one statement runs at a time
        return "select '0 cancelled.' as status"
    if not _MAY_NEED_CHANGE.search(sql):
        return sql
    try:
        statement = sqlglot.parse_one(sql, read="snowflake")
    except ParseError:
        return sql
    changed = _make_permanent(statement) or _qualify_inserted(statement)
    return statement.sql(dialect="snowflake") if changed else sql


def _make_permanent(statement: Expr) -> bool:
    """Make a temporary table with a schema permanent: DuckDB has temporary tables only in a database of their own."""
    if not isinstance(statement, exp.Create) or statement.kind not in ("TABLE", "VIEW"):
        return False
    table = statement.find(exp.Table)
    temporary = statement.find(exp.TemporaryProperty)
    if not (table and table.db and temporary):
        return False
    temporary.pop()
    return True


def _qualify_inserted(statement: Expr) -> bool:
    """Qualify the columns that MERGE inserts by the source. DuckDB calls them ambiguous if the target has them, too."""
    if not isinstance(statement, exp.Merge):
        return False
    source = statement.args["using"].alias_or_name
    thens = [when.args["then"] for when in statement.args["whens"].expressions]
    inserts = [then for then in thens if isinstance(then, exp.Insert)]
    for insert in inserts:
        for column in insert.expression.find_all(exp.Column):
            if not column.table:
                column.set("table", exp.to_identifier(source))
    return bool(inserts)

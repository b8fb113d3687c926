"""Change fakesnow's cursors: use DuckDB's MERGE, report all of DuckDB's errors, and record what a statement changes.

fakesnow splits a MERGE into several statements, which fail inside a transaction.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import sqlglot
from fakesnow import arrow, copy_into, server, transforms
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.params import MutableParams
from fakesnow.rowtype import ColumnInfo
from snowflake.connector.errors import ProgrammingError
from sqlglot import Expr, exp

from services.snowflake import grants, known, nested, privileges, shows, stages
from services.snowflake.access import Access
from services.snowflake.altered import record_change, with_views_and_times
from services.snowflake.meanings import adapt_for_fakesnow, with_text_keys
from services.snowflake.names import Names
from services.snowflake.privileges import clone_as_copy
from services.snowflake.sessions import SESSIONS, Session
from services.snowflake.statements import as_duckdb, as_renames
from services.snowflake.values import QUERIES, as_snowflake
from services.snowflake.variants import with_values


class _Shared:
    """The state that the changed cursors share."""

    access: ClassVar[Access]
    effects: ClassVar[list[Callable[[], None]]] = []
    """What to do after the current statement has succeeded. The emulator runs one statement at a time."""


# fakesnow has no hook between a statement and its result, so its methods are replaced.
_original_execute_sql = FakeSnowflakeCursor._execute  # noqa: SLF001
_to_struct = arrow.timestamp_to_sf_struct
_to_sf = arrow.to_sf
_original_execute = FakeSnowflakeCursor.execute
_original_explode = FakeSnowflakeCursor._transform_explode  # noqa: SLF001
_original_transform = FakeSnowflakeCursor._transform  # noqa: SLF001


def change_cursors(access: Access) -> None:
    """Change fakesnow's cursors for the whole process. `access` has the roles and grants."""
    _Shared.access = access
    FakeSnowflakeCursor.execute = _patched_execute  # type: ignore[method-assign]
    arrow.timestamp_to_sf_struct = _timestamps_with_nulls  # type: ignore[assignment]
    server.to_sf = _with_sorted_keys  # type: ignore[attr-defined]
    copy_into._source_urls = stages.urls  # noqa: SLF001
    copy_into.handle_csv = stages.csv_format
    transforms.merge = _keep_merge
    transforms.numeric_agg_implicit_cast = _unchanged
    FakeSnowflakeCursor._execute = _patched_execute_sql  # type: ignore[method-assign]  # noqa: SLF001
    FakeSnowflakeCursor._transform_explode = _patched_explode  # type: ignore[method-assign]  # noqa: SLF001
    FakeSnowflakeCursor._transform = _patched_transform  # type: ignore[method-assign]  # noqa: SLF001


def _timestamps_with_nulls(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Send NULLs as NULLs. fakesnow sends them as 1970-01-01."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    made = _to_struct(column)
    return pa.StructArray.from_arrays(made.flatten(), fields=list(made.type), mask=column.is_null())


def _with_sorted_keys(table: pa.Table, rowtype: list[ColumnInfo]) -> pa.Table:
    """Send a result with sorted keys in its objects, as Snowflake stores them."""
    for at, info in enumerate(rowtype):
        if info["type"] in ("variant", "object", "array"):
            values = [_sorted_keys(text) for text in table.column(at).to_pylist()]
            table = table.set_column(at, table.field(at), pa.array(values, pa.string()))
    return _to_sf(table, rowtype)


def _sorted_keys(text: str | None) -> str | None:
    if text is None or "{" not in text:
        return text
    value = json.loads(text)
    unchanged = json.dumps(value, separators=(",", ":"), ensure_ascii=False) == text  # parsing has not changed numbers
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True) if unchanged else text


def _keep_merge(merge_expr: Expr) -> list[Expr]:
    return [merge_expr]


def _unchanged(expression: Expr) -> Expr:
    """Leave sums unchanged: fakesnow would make each a FLOAT, but `values` knows which are sums of text."""
    return expression


def _patched_execute(
    self: FakeSnowflakeCursor, command: str, params: Any = None, *arguments: Any, **more: Any
) -> FakeSnowflakeCursor:
    session = SESSIONS.setdefault(self._conn, Session())
    _Shared.effects.clear()
    known.check_words(command)
    rows = grants.run(_Shared.access, session, _session_names(self), command)
    if rows is None:
        rows = stages.run(self._duck_conn, self._conn.database, self._conn._schema, command)  # noqa: SLF001 - as above
    if rows is not None:
        self._execute(sqlglot.parse_one(grants.as_select(rows), read="duckdb"))
        return self
    session.statement = command
    _original_execute(self, stages.unquote_stages(clone_as_copy(command)), params, *arguments, **more)
    for effect in _Shared.effects:
        effect()
    return self


def _session_names(cursor: FakeSnowflakeCursor) -> Names:
    session = cursor._conn  # noqa: SLF001 - as above
    return Names(cursor._duck_conn, session.database, session._schema)  # noqa: SLF001


def _patched_explode(self: FakeSnowflakeCursor, expression: Expr) -> list[Expr]:
    return (
        as_renames(expression)
        if isinstance(expression, exp.Alter) and expression.find(exp.SwapTable)
        else _original_explode(self, expression)
    )


def _patched_transform(self: FakeSnowflakeCursor, expression: Expr, params: MutableParams | None) -> Expr:
    upper = transforms.upper_case_unquoted_identifiers
    expression = expression.transform(with_text_keys).transform(lambda node: transforms.identifier(node, params))
    expression = expression.transform(upper)
    names = _session_names(self)
    session = SESSIONS.setdefault(self._conn, Session())
    if _Shared.access.is_limited(session.role):
        _Shared.access.require(session.role, privileges.needed(expression, names))
    names.check(expression)
    known.check_comments(expression)
    if isinstance(expression, exp.Copy):
        expression = stages.with_format(self._duck_conn, expression, self._conn.database, self._conn._schema)  # noqa: SLF001
    if isinstance(expression, exp.Create) and expression.args.get("kind") == "STAGE":
        created, name = expression.copy(), ".".join(names.path(expression.this))
        _Shared.effects.append(lambda: stages.record_format(self._duck_conn, created, name))
    if effect := privileges.effect(expression, session.statement, names, _Shared.access, session.role):
        _Shared.effects.append(effect)
    if effect := nested.effect(self._duck_conn, expression, names):
        _Shared.effects.append(effect)
    expression = as_duckdb(expression, session, lambda table: bool(names.columns(table)))
    if isinstance(expression, QUERIES):
        known.check(expression)
        known.check_syntax(expression)
        expression = with_values(expression, names.columns)
    expression = adapt_for_fakesnow(expression)
    original = expression.copy()
    changed = _original_transform(self, expression, params)
    if isinstance(original, exp.Show):
        return shows.apply_filters(changed, original)
    return as_snowflake(changed, original, lambda table: nested.columns(self._duck_conn, names, table))


def _patched_execute_sql(self: FakeSnowflakeCursor, transformed: Expr, params: MutableParams | None = None) -> None:
    clauses = _clauses(transformed) if isinstance(transformed, exp.Merge) else []
    if clauses:
        transformed.set("returning", exp.Returning(expressions=[exp.column("merge_action")]))
    try:
        if isinstance(transformed, exp.Merge) and (check := ambiguous(transformed)):
            _original_execute_sql(self, check, params)
            if self.fetchall():
                raise ProgrammingError(
                    msg="Duplicate row detected during DML action: a target row matches several source rows.",
                    errno=100090,
                    sqlstate="42P18",
                )
        _original_execute_sql(self, with_views_and_times(transformed), params)
    except duckdb.Error as error:
        raise _as_snowflake_error(error) from error
    session = self._conn
    record_change(session._duck_conn, transformed, session.database, session.schema)  # noqa: SLF001 - as above
    if clauses:
        _original_execute_sql(self, _counts(Counter(str(action) for (action,) in self.fetchall()), clauses))


_TOO_LONG = re.compile(r"CHECK constraint failed on table \S+ with expression CHECK\(\(length\((.+)\) <= (\d+)\)\)")


def _as_snowflake_error(error: duckdb.Error) -> ProgrammingError:
    if found := _TOO_LONG.search(str(error)):
        message = f"A string is too long and would be truncated: column {found[1]} is limited to {found[2]} characters."
        return ProgrammingError(msg=message, errno=100078, sqlstate="22000")
    if "Division by zero" in str(error):
        return ProgrammingError(msg="Division by zero", errno=100051, sqlstate="22012")
    # Snowflake's code and state for an internal error.
    return ProgrammingError(msg=str(error), errno=603, sqlstate="XX000")


def ambiguous(merge: exp.Merge) -> Expr | None:
    """Return a query that finds a target row which the MERGE would update from several source rows.

    Such a MERGE fails (https://docs.snowflake.com/en/sql-reference/sql/merge). Rows that are only deleted may match
    several times. Return None if the MERGE has no UPDATE.
    """
    whens = [when for when in merge.args["whens"].expressions if when.args.get("matched")]
    if not any(isinstance(when.args["then"], exp.Update) for when in whens):
        return None
    target, source, on = merge.this.copy(), merge.args["using"].copy(), merge.args["on"].copy()
    chosen = exp.or_(*(when.args.get("condition") or exp.true() for when in whens))
    row = exp.column("rowid", table=target.alias_or_name, quoted=True)
    found = exp.select("1").from_(target).join(source, on=on).where(chosen).group_by(row)
    return found.having("count(*) > 1").limit(1)


_RESULT_COLUMNS = {"INSERT": "inserted", "UPDATE": "updated", "DELETE": "deleted"}


def _clauses(merge: exp.Merge) -> list[str]:
    """Return the kinds of changes that a MERGE makes, in the order of its result's columns."""
    thens = [when.args["then"] for when in merge.args["whens"].expressions]
    kinds = {exp.Insert: "INSERT", exp.Update: "UPDATE"}
    found = {kinds.get(type(then), "DELETE") for then in thens}
    return [action for action in _RESULT_COLUMNS if action in found]


def _counts(actions: Counter[str], clauses: list[str]) -> Expr:
    """Return MERGE's result: one row with a count for each kind of change, under the names that clients expect."""
    numbers = ", ".join(f'{actions[action]} as "number of rows {_RESULT_COLUMNS[action]}"' for action in clauses)
    return sqlglot.parse_one(f"select {numbers}", read="duckdb")

"""What fakesnow's cursors do otherwise here: MERGE is DuckDB's own, and each failure of DuckDB's reaches the client.

What a statement alters is noted.

fakesnow takes MERGE apart into several statements, which fail inside a transaction.
"""

from collections import Counter

import duckdb
import sqlglot
from fakesnow import transforms
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.params import MutableParams
from snowflake.connector.errors import ProgrammingError
from sqlglot import Expr, exp

from services.snowflake.altered import note, with_views_and_times

# There is no other place between a statement and its result.
_execute = FakeSnowflakeCursor._execute  # noqa: SLF001


def change_cursors() -> None:
    """Change fakesnow's cursors, for the whole process."""
    transforms.merge = _whole
    FakeSnowflakeCursor._execute = _execute_here  # type: ignore[method-assign]  # noqa: SLF001


def _whole(merge_expr: Expr) -> list[Expr]:
    return [merge_expr]


def _execute_here(self: FakeSnowflakeCursor, transformed: Expr, params: MutableParams | None = None) -> None:
    merge = isinstance(transformed, exp.Merge)
    if merge:
        transformed.set("returning", exp.Returning(expressions=[exp.column("merge_action")]))
    try:
        _execute(self, with_views_and_times(transformed), params)
    except duckdb.Error as error:
        # Snowflake's own code and state for a failure with no code of its own.
        raise ProgrammingError(msg=str(error), errno=603, sqlstate="XX000") from error
    session = self._conn
    note(session._duck_conn, transformed, session.database, session.schema)  # noqa: SLF001 - as above
    if merge:
        _execute(self, _counts(Counter(str(action) for (action,) in self.fetchall())))


def _counts(actions: Counter[str]) -> Expr:
    """MERGE's result: a row of numbers, by names that clients look for."""
    named = {
        "INSERT": "number of rows inserted",
        "UPDATE": "number of rows updated",
        "DELETE": "number of rows deleted",
    }
    numbers = ", ".join(f'{actions[action]} as "{name}"' for action, name in named.items())
    return sqlglot.parse_one(f"select {numbers}", read="duckdb")

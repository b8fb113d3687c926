"""The ledger in Snowflake, a table in the schema that dbt builds in."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blocks import ledger
from blocks.ledger import Graph, State

NO_ANSWER = re.compile(r"Could not connect to Snowflake backend|\b250003\b")
"""The text of an error if Snowflake did not answer, so a login was neither accepted nor rejected."""

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor


class SnowflakeLedger:
    """The ledger in Snowflake. Every method can raise a snowflake.connector Error.

    Args:
        connect: opens a session in the schema that dbt builds in.
        database: the schema's database.
        schema: the schema that dbt builds in.
    """

    def __init__(self, connect: "Callable[[], SnowflakeConnection]", database: str, schema: str) -> None:
        self.connect, self.schema = connect, schema
        self.relation = f"{database}.{schema}.{ledger.NAME}"

    def read(self) -> tuple[State, int]:
        """See `Ledger.read`."""
        with self._cursor() as cursor:
            make_schema(cursor, self.schema)
            cursor.execute(
                f"create transient table if not exists {self.relation} "
                "(number integer, kind varchar, node varchar, value varchar)"
            )
            return read(cursor, self.relation)

    def write(self, state: State, last: int) -> None:
        """See `Ledger.write`."""
        with self._cursor() as cursor:
            write(cursor, self.relation, state, last)

    def prints(self, graph: Graph, nodes: Iterable[str]) -> dict[str, str]:
        """See `Ledger.prints`."""
        with self._cursor() as cursor:
            return prints(cursor, graph, nodes)

    @contextmanager
    def _cursor(self) -> "Iterator[SnowflakeCursor]":
        with self.connect() as connection, connection.cursor() as cursor:
            yield cursor


def make_schema(cursor: "SnowflakeCursor", schema: str) -> None:
    """Create a schema if it does not exist. An existing schema needs no privilege to create one."""
    cursor.execute("select 1 from information_schema.schemata where schema_name = %s", (stored(schema),))
    if not cursor.fetchall():
        cursor.execute(f"create schema if not exists {schema}")


def stored(name: str) -> str:
    """Return an unquoted name as Snowflake stores and compares it."""
    return name.upper()


def read(cursor: "SnowflakeCursor", relation: str) -> tuple[State, int]:
    """Read the ledger from a table; return the state and the number of the last row."""
    cursor.execute(f"select number, kind, node, value from {relation}")  # noqa: S608 - names of our own
    rows = [(int(number), str(kind), str(node), str(value)) for number, kind, node, value in cursor.fetchall()]
    return ledger.merged(rows), max((row[0] for row in rows), default=0)


def write(cursor: "SnowflakeCursor", relation: str, state: State, last: int) -> None:
    """Replace the rows up to `last` with a state."""
    cursor.execute(
        f"insert into {relation} (number, kind, node, value) "  # noqa: S608 - names of our own
        f"select coalesce(max(number), 0) + 1, %s, '', %s from {relation}",
        (ledger.STATE, state.model_dump_json()),
    )
    cursor.execute(f"delete from {relation} where number <= %s", (last,))  # noqa: S608 - likewise


def prints(cursor: "SnowflakeCursor", graph: Graph, nodes: Iterable[str]) -> dict[str, str]:
    """Return when each node's table was created and last changed, and its size. Snowflake reads no rows for it."""
    tables = {id_: graph.nodes[id_].table for id_ in nodes}
    if not (schemas := sorted({stored(table.split(".", 1)[0]) for table in tables.values()})):
        return {}
    cursor.execute(
        "select table_schema, table_name, table_type, created, last_altered, row_count, bytes "  # noqa: S608
        f"from information_schema.tables where table_schema in ({', '.join(['%s'] * len(schemas))})",
        schemas,
    )
    known = {f"{schema}.{name}".lower(): " ".join(map(str, facts)) for schema, name, *facts in cursor.fetchall()}
    return {id_: known.get(table.lower(), "") for id_, table in tables.items()}

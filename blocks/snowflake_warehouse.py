"""Snowflake as the warehouse. Readers have their own schema, with clones of the tables that dbt builds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from blocks import lake, ledger, snowflake_export, snowflake_ledger
from blocks.ledger import Graph, Node, State, Version
from blocks.published import Contents
from blocks.turns import turn
from blocks.warehouse import NOTHING_TESTED, PublishFailed, RawReadOnly, WarehouseUnreachable

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor


class SnowflakeWarehouse:
    """A warehouse in Snowflake.

    Args:
        connect: opens a session in the schema that dbt builds in.
        raw_schema: schema that Airbyte loads.
        place: path whose lock file to wait for; None does not wait.
        wait_seconds: how long to wait for another command that uses the warehouse.
    """

    def __init__(
        self,
        connect: "Callable[[], SnowflakeConnection]",
        raw_schema: str,
        place: Path | None = None,
        wait_seconds: float = 3600,
    ) -> None:
        self.connect, self.raw_schema, self.place, self.wait_seconds = connect, raw_schema, place, wait_seconds

    def publish(self) -> str:
        """Replace each published table with a clone, which copies no rows.

        A new table gets the schema's future grants. A replaced table keeps its grants. A reader sees either the old
        table or the new one. Tables in the readers' schema that the platform did not create stay.

        Raises:
            PublishFailed: Snowflake rejects a statement.
            WarehouseUnreachable: Snowflake does not answer.
        """
        from snowflake.connector.errors import Error

        waited = turn(self.place, self.wait_seconds, print) if self.place else nullcontext()
        with waited, self._session() as connection, connection.cursor() as cursor:
            built = connection.schema or ""
            readers = published_schema(built)
            try:
                _publish(cursor, built, readers)
            except Error as error:
                if snowflake_ledger.NO_ANSWER.search(str(error)):
                    raise
                raise PublishFailed(
                    f"The tested tables of {built} could not be cloned into {readers}: {error} Grant the role USAGE "
                    "and CREATE TABLE on that schema, or CREATE SCHEMA on the database. Then run again."
                ) from error
            return f"{connection.account}: {connection.database}.{readers}"

    @contextmanager
    def _session(self) -> "Iterator[SnowflakeConnection]":
        from snowflake.connector.errors import Error

        try:
            with self.connect() as connection:
                yield connection
        except Error as error:
            if not snowflake_ledger.NO_ANSWER.search(str(error)):
                raise
            raise WarehouseUnreachable(
                f"Snowflake does not answer: {error} Check SNOWFLAKE_ACCOUNT, SNOWFLAKE_HOST and the network, then "
                "run again."
            ) from error

    def published_tables(self) -> dict[str, Contents]:
        """See `Warehouse.published_tables`."""
        with self._session() as connection, connection.cursor() as cursor:
            readers = snowflake_ledger.stored(published_schema(str(connection.schema)))
            cursor.execute(
                "select table_name, row_count from information_schema.tables where table_schema = %s", (readers,)
            )
            counts = {str(table): int(count or 0) for table, count in cursor.fetchall()}
            cursor.execute(
                "select table_name, column_name from information_schema.columns where table_schema = %s "
                "order by ordinal_position",
                (readers,),
            )
            columns: dict[str, list[str]] = {table: [] for table in counts}
            for table, column in cursor.fetchall():
                columns.setdefault(str(table), []).append(str(column).lower())
        return {f"{readers}.{table}".lower(): Contents(counts[table], columns[table]) for table in sorted(counts)}

    def arrived(self, keys: Iterable[str], since: datetime | None = None) -> dict[str, datetime]:
        """See `Warehouse.arrived`. It queries every table in the raw schema that Airbyte's source-s3 fills."""
        if not (wanted := list(keys)):
            return {}
        with self._session() as connection, connection.cursor() as cursor:
            tables = self._raw_tables(cursor)
            found = self._arrived(cursor, tables, wanted, since) if since else {}
            rest = [key for key in wanted if key not in found]
            return found | (self._arrived(cursor, tables, rest) if rest else {})

    def _arrived(
        self, cursor: "SnowflakeCursor", tables: Iterable[str], keys: list[str], since: datetime | None = None
    ) -> dict[str, datetime]:
        found: list[tuple[str, datetime]] = []
        key = lake.object_of_row(keys).replace("%", "%%")
        for table in tables:
            cursor.execute(
                f"select {key}, max(_ab_source_file_last_modified) "  # noqa: S608 - from the catalogue
                f'from {self.raw_schema}."{table}" where {key} in ({", ".join(["%s"] * len(keys))}) '
                f"{'and _airbyte_extracted_at >= %s::timestamp_tz ' if since else ''}group by 1",
                [*keys, *([since.isoformat()] if since else [])],
            )
            found += [(key, _aware(date)) for key, date in cursor.fetchall()]
        return lake.newest(found)

    def synced(self, jobs: Mapping[int, datetime]) -> dict[int, dict[str, int]]:
        """See `Warehouse.synced`."""
        counts: dict[int, dict[str, int]] = {}
        with self._session() as connection, connection.cursor() as cursor:
            for table in self._raw_tables(cursor) if jobs else []:
                cursor.execute(
                    f'select _airbyte_meta:sync_id::number, count(*) from {self.raw_schema}."{table}" '  # noqa: S608 - from the catalogue
                    "where _airbyte_extracted_at >= %s::timestamp_tz group by 1",
                    (min(jobs.values()).isoformat(),),
                )
                for job, count in cursor.fetchall():
                    if job is not None and int(job) in jobs:
                        counts.setdefault(int(job), {})[table.lower()] = int(count)
        return counts

    def fills(self, since: datetime) -> list[lake.Fill]:
        """See `Warehouse.fills`."""
        found = []
        with self._session() as connection, connection.cursor() as cursor:
            for table in self._raw_tables(cursor):
                cursor.execute(
                    "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
                    (snowflake_ledger.stored(self.raw_schema), table),
                )
                columns = [str(name) for (name,) in cursor.fetchall()]
                counts = ", ".join(f"count({snowflake_export.quoted(name)})" for name in columns)
                cursor.execute(
                    f"select _ab_source_file_url, count(*), {counts} "  # noqa: S608 - names from the catalogue
                    f"from {self.raw_schema}.{snowflake_export.quoted(table)} "
                    "where _airbyte_extracted_at >= %s::timestamp_tz group by 1 order by 1",
                    (since.isoformat(),),
                )
                names = [name.lower() for name in columns]
                for file, rows, *values in cursor.fetchall():
                    filled = dict(zip(names, map(int, values), strict=True))
                    found.append(lake.Fill(table.lower(), str(file or ""), int(rows), filled))
        return found

    def example(self, table: str, column: str, file: str) -> str | None:
        """See `Warehouse.example`."""
        name = snowflake_export.quoted(snowflake_ledger.stored(column))
        with self._session() as connection, connection.cursor() as cursor:
            cursor.execute(
                f"select max(cast({name} as varchar)) from {self._place(table)} where _ab_source_file_url = %s",  # noqa: S608 - quoted
                (file,),
            )
            found = cursor.fetchone()
        return str(found[0]) if found and found[0] is not None else None

    def newest_file(self, table: str) -> tuple[str, datetime] | None:
        """See `Warehouse.newest_file`."""
        with self._session() as connection, connection.cursor() as cursor:
            cursor.execute(
                f"select _ab_source_file_url, _airbyte_extracted_at from {self._place(table)} "  # noqa: S608 - quoted
                "order by 2 desc, 1 desc limit 1"
            )
            found = cursor.fetchone()
        return (str(found[0]), found[1].astimezone(UTC)) if found and found[0] is not None else None

    def raw_columns(self) -> dict[str, list[str]]:
        """See `Warehouse.raw_columns`."""
        with self._session() as connection, connection.cursor() as cursor:
            cursor.execute(
                "select table_name, column_name from information_schema.columns where table_schema = %s "
                "order by table_name, ordinal_position",
                (snowflake_ledger.stored(self.raw_schema),),
            )
            found: dict[str, list[str]] = {}
            for table, column in cursor.fetchall():
                found.setdefault(str(table).lower(), []).append(str(column).lower())
        return found

    def export(self, table: str, target: Path) -> None:
        """See `Warehouse.export`."""
        with self._session() as connection, connection.cursor() as cursor:
            snowflake_export.export(cursor, self.raw_schema, snowflake_ledger.stored(table), target)

    def rows_of(self, key: str) -> dict[str, int]:
        """See `Warehouse.rows_of`."""
        counts: dict[str, int] = {}
        with self._session() as connection, connection.cursor() as cursor:
            for table in self._raw_tables(cursor):
                cursor.execute(f"select count(*) from {self._rows(table, key)}", (key,))  # noqa: S608 - from the catalogue
                if row := cursor.fetchone():
                    counts[table.lower()] = int(row[0])
        return {table: count for table, count in counts.items() if count}

    def remove(self, key: str) -> dict[str, int]:
        """See `Warehouse.remove`."""
        from snowflake.connector.errors import Error

        counts = self.rows_of(key)
        with self._session() as connection, connection.cursor() as cursor:
            for table in self._raw_tables(cursor):
                statement = f"delete from {self._rows(table, key)}"  # noqa: S608 - from the catalogue
                try:
                    cursor.execute(statement, (key,))
                except Error as error:
                    if snowflake_ledger.NO_ANSWER.search(str(error)):
                        raise
                    raise RawReadOnly(
                        f"The rows of {key} could not be deleted from {self.raw_schema}.{table}: {error} Grant DELETE "
                        f"on the tables of {self.raw_schema} to the role, or run this as the role of Airbyte, then "
                        f"repeat: {statement % repr(key)}"
                    ) from error
        return counts

    def compact(self) -> dict[str, tuple[int, int]]:
        """Do nothing: Snowflake merges its micro-partitions itself."""
        return {}

    def _place(self, table: str) -> str:
        return f"{self.raw_schema}.{snowflake_export.quoted(snowflake_ledger.stored(table))}"

    def _rows(self, table: str, key: str) -> str:
        """Return the FROM and WHERE clauses that select an object's rows."""
        return f'{self.raw_schema}."{table}" where {lake.object_of_row([key]).replace("%", "%%")} = %s'

    def _raw_tables(self, cursor: "SnowflakeCursor") -> list[str]:
        """Return the tables that Airbyte's source-s3 fills."""
        cursor.execute(
            "select table_name from information_schema.columns "
            "where table_schema = %s and upper(column_name) = '_AB_SOURCE_FILE_URL'",
            (snowflake_ledger.stored(self.raw_schema),),
        )
        return [str(table) for (table,) in cursor.fetchall()]


def _publish(cursor: "SnowflakeCursor", built: str, readers: str) -> None:
    """Clone the tables that passed, and drop published tables that the dbt project no longer contains."""
    tables = _tables(cursor, built)
    relation = f"{built}.{ledger.NAME}"
    known = snowflake_ledger.read(cursor, relation) if snowflake_ledger.stored(ledger.NAME) in tables else None
    state, last = known or (_everything(built, tables), 0)
    if (graph := state.graph) is None:
        raise PublishFailed(NOTHING_TESTED)
    if known:
        relations = {id_ for id_, node in graph.nodes.items() if not node.ephemeral}
        ledger.reconcile(state, snowflake_ledger.prints(cursor, graph, relations))
    passed = ledger.passed(state, graph)
    own = {snowflake_ledger.stored(node.table): id_ for id_, node in graph.nodes.items() if not node.ephemeral}
    mine = {table: own.get(snowflake_ledger.stored(f"{built}.{table}")) for table in [*tables, *state.published]}
    done = [table for table in tables if mine[table] in passed]
    views = _tables(cursor, built, "VIEW")
    gone = [table for table in state.published if mine[table] is None or table in views]
    if known:  # recorded first, so that a publication that is killed leaves no unknown tables
        state.published = sorted({*state.published, *done})
        snowflake_ledger.write(cursor, relation, state, last)
    snowflake_ledger.make_schema(cursor, readers)
    there = _tables(cursor, readers)
    for table in done:
        # dbt's tables are transient, and a clone of a transient table must be transient.
        clone = f'create or replace transient table {readers}."{table}" clone {built}."{table}"'
        # Snowflake gives a new table the schema's future grants, but not with COPY GRANTS.
        kept = table in there and _granted(cursor, f'{readers}."{table}"')
        cursor.execute(f"{clone} copy grants" if kept else clone)
    for table in gone:
        cursor.execute(f'drop table if exists {readers}."{table}"')
    if gone:
        state.published = sorted({*state.published} - {*gone})
        snowflake_ledger.write(cursor, relation, state, last)


def _granted(cursor: "SnowflakeCursor", table: str) -> bool:
    """Return whether a role other than the owner has a privilege on a table, as far as this role sees."""
    cursor.execute(f"show grants on table {table}")
    return any(row[1] != "OWNERSHIP" for row in cursor.fetchall())


def _everything(built: str, tables: Iterable[str]) -> State:
    """Return a state in which every table of a schema has passed, for a schema that the platform has not built."""
    nodes = {name: Node(table=f"{built}.{name}") for name in tables}
    return State(graph=Graph(nodes=nodes), versions={name: Version(id="", built=True) for name in nodes})


def _tables(cursor: "SnowflakeCursor", schema: str, kind: str = "BASE TABLE") -> list[str]:
    cursor.execute(
        "select table_name from information_schema.tables where table_schema = %s and table_type = %s",
        (snowflake_ledger.stored(schema), kind),
    )
    return [str(name) for (name,) in cursor.fetchall()]


def published_schema(built: str) -> str:
    """Return the schema that readers query, given the schema that dbt builds in."""
    return f"{built}_PUBLISHED"


def _aware(date: datetime | str) -> datetime:
    """Convert source-s3's date of a file, which Snowflake has as a timestamp or as text, to UTC."""
    moment = datetime.fromisoformat(date) if isinstance(date, str) else date
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

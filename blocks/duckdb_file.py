"""The DuckDB file that dbt writes, and the ledger in it."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from blocks import ledger
from blocks.duckdb_fence import literal
from blocks.ledger import Graph, State

RELATION = f"main.{ledger.NAME}"
OLDEST_READER = "v1.2.0"
"""Storage version of the platform's files. DuckDB of this version and of later ones can open them."""
HEADERS = 3 * 4096
"""Bytes before a DuckDB file's first block. Each block begins with its checksum."""
CHECKSUM = 8
"""Bytes of a block's checksum."""

_BROKEN = re.compile(
    r"replaying WAL|WAL was created for|not a valid DuckDB database|MetadataReader|Corrupt database|"
    r"Serialization Error|"
    r"Could not read enough bytes from file \"[^\"]*\.duckdb|checksum .*block"
)


def broken(text: str, path: str | Path) -> str:
    """Return what to do if DuckDB's message says that a file is damaged; "" for other messages."""
    if not _BROKEN.search(text):
        return ""
    return (
        f"The file {path} is damaged, or {path}.wal does not belong to it. Delete both, then run full_pipeline, which "
        "rebuilds the tables from raw. Only the snapshots' history is lost. If you need it, copy the files first."
    )


class DuckDbLedger:
    """The ledger in a DuckDB file. Every method can raise a duckdb.Error."""

    relation = RELATION

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[State, int]:
        """See `Ledger.read`. A file that it creates has a format that every reader can open."""
        made: dict[str, Any] = {} if self.path.exists() else {"storage_compatibility_version": OLDEST_READER}
        with duckdb.connect(str(self.path), config=made) as connection:
            connection.execute(
                f"create table if not exists {RELATION} (number bigint, kind varchar, node varchar, value varchar)"
            )
            return read(connection) or (State(), 0)

    def write(self, state: State, last: int) -> None:
        """See `Ledger.write`."""
        with duckdb.connect(str(self.path)) as connection:
            connection.begin()
            connection.execute(
                f"insert into {RELATION} select coalesce(max(number), 0) + 1, ?, '', ? from {RELATION}",  # noqa: S608
                [ledger.STATE, state.model_dump_json()],
            )
            connection.execute(f"delete from {RELATION} where number <= ?", [last])  # noqa: S608
            connection.commit()

    def prints(self, graph: Graph, nodes: Iterable[str]) -> dict[str, str]:
        """See `Ledger.prints`."""
        with opened(self.path) as file:
            return prints(file, graph, nodes)


@dataclass
class File:
    """An open DuckDB file: a connection to it, and a descriptor for reading its blocks."""

    connection: duckdb.DuckDBPyConnection
    descriptor: int


@contextmanager
def opened(path: Path) -> Iterator[File]:
    """Open a DuckDB file exclusively.

    The descriptor is closed last: when a process closes a file, it loses its locks on the file, including DuckDB's.

    Raises:
        OSError, duckdb.Error: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with duckdb.connect(str(path)) as connection:
            connection.execute("checkpoint")  # a killed process may have left a write-ahead log
            yield File(connection, descriptor)
    finally:
        os.close(descriptor)


def read(connection: duckdb.DuckDBPyConnection) -> tuple[State, int] | None:
    """Read the ledger of an open warehouse and the number of its last row; None if the platform has not run dbt."""
    if ledger.NAME not in names(connection, "duckdb_tables", "table_name").values():
        return None
    rows = connection.execute(f"select number, kind, node, value from {RELATION}").fetchall()  # noqa: S608
    return ledger.merged(rows), max((row[0] for row in rows), default=0)


def prints(file: File, graph: Graph, nodes: Iterable[str]) -> dict[str, str]:
    """Return a print of each node: its number of rows, a hash of its blocks, and its SQL; for a view, only its SQL."""
    tables = names(file.connection, "duckdb_tables", "sql")
    views = names(file.connection, "duckdb_views", "sql")
    found = dict[str, str]()
    for id_ in nodes:
        table = graph.nodes[id_].table
        if (sql := tables.get(table.lower())) is not None:
            found[id_] = f"{stored(file, table)} {sql}"
        else:
            found[id_] = views.get(table.lower(), "")
    return found


def stored(file: File, table: str) -> str:
    """Return the number of rows, and a hash of the positions and checksums of a table's blocks in the file.

    DuckDB writes changes to other blocks, so the rows need not be read, however long the table is. DuckDB reuses freed
    blocks, but then the checksum differs. If rows are only deleted, the number of rows differs.
    """
    name = quoted(table)
    # A constant segment has no block: its value is in the statistics. Other segments' statistics change on reopening.
    [(rows, segments, blocks)] = file.connection.execute(f"""
        select
            (select count(*) from {name}),
            coalesce(list(segment::varchar order by segment), []),
            coalesce(list_sort(list_distinct(flatten(list(segment.blocks)))), [])
        from (
            select {{
                row_group: row_group_id, path: column_path, number: segment_id, start: start, count: count,
                compression: compression, place: block_offset, blocks: [block_id] || additional_block_ids,
                constant: if(block_id < 0, stats::varchar, '')
            }} as segment
            from pragma_storage_info({literal(name)})
        )
    """).fetchall()  # noqa: S608 - names of the catalogue's
    size = block_size(file.connection)
    digest = sha256("\n".join(segments).encode())
    for block in blocks:
        if block >= 0:
            digest.update(os.pread(file.descriptor, CHECKSUM, HEADERS + block * size))
    return f"{rows} rows, {digest.hexdigest()}"


def block_size(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the size of the open file's blocks in bytes."""
    query = "select block_size from pragma_database_size() where database_name = current_database()"
    [(size,)] = connection.execute(query).fetchall()
    return int(size)


def quoted(table: str) -> str:
    """Quote `schema.table` for SQL."""
    return ".".join(map(identifier, table.split(".", 1)))


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def names(connection: duckdb.DuckDBPyConnection, function: str, value: str) -> dict[str, str]:
    """Return a catalogue column of the open file's tables or views, by `schema.name` in lower case."""
    name = function.removeprefix("duckdb_").removesuffix("s") + "_name"
    rows = connection.execute(
        f"select lower(schema_name || '.' || {name}), {value} from {function}() "  # noqa: S608 - names of DuckDB's own
        "where database_name = current_database() and not internal"
    )
    return dict(rows.fetchall())

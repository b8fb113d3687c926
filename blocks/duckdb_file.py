"""The DuckDB file that dbt writes: its ledger, and the copy of what was tested that readers open."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from blocks import ledger
from blocks.duckdb_fence import literal
from blocks.ledger import Graph, Node, State, Version

RELATION = f"main.{ledger.NAME}"
OLDEST_READER = "v1.2.0"
"""The storage version of the readers' copy: DuckDB of this version and every later one opens it."""

_BROKEN = re.compile(
    r"replaying WAL|WAL was created for|not a valid DuckDB database|MetadataReader|Corrupt database|"
    r"Serialization Error|"
    r"Could not read enough bytes from file \"[^\"]*\.duckdb|checksum .*block"
)


def broken(text: str, path: str | Path) -> str:
    """What to do about a file that DuckDB cannot read, if that is what its message says; else nothing."""
    if not _BROKEN.search(text):
        return ""
    return (
        f"The file {path} is damaged, or {path}.wal does not belong to it. Delete both, then run full_pipeline: the "
        "tables are rebuilt from raw. Only the snapshots' past is lost; copy the files first if you need it."
    )


class DuckDbLedger:
    """The ledger in a DuckDB file; what fails is a duckdb.Error."""

    relation = RELATION

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[State, int]:
        """See `Ledger.read`."""
        with duckdb.connect(str(self.path)) as connection:
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
        with duckdb.connect(str(self.path)) as connection:
            return prints(connection, graph, nodes)


def read(connection: duckdb.DuckDBPyConnection) -> tuple[State, int] | None:
    """The ledger of an open warehouse and the number of its last row; None where dbt has not run under the platform."""
    if ledger.NAME not in _names(connection, "duckdb_tables", "table_name").values():
        return None
    rows = connection.execute(f"select number, kind, node, value from {RELATION}").fetchall()  # noqa: S608
    return ledger.merged(rows), max((row[0] for row in rows), default=0)


def prints(connection: duckdb.DuckDBPyConnection, graph: Graph, nodes: Iterable[str]) -> dict[str, str]:
    """Number of rows, a hash of them, and the columns of each node's table; of a view its SQL."""
    tables = _names(connection, "duckdb_tables", "sql")
    views = _names(connection, "duckdb_views", "sql")
    found = dict[str, str]()
    for id_ in nodes:
        table = graph.nodes[id_].table
        if (sql := tables.get(table.lower())) is not None:
            found[id_] = _print(_content(connection, quoted(table)), sql)
        else:
            found[id_] = views.get(table.lower(), "")
    return found


def _print(content: str, sql: str) -> str:
    return f"{content} {sql}"


def quoted(table: str) -> str:
    """`schema.table` as SQL has it."""
    return ".".join(map(identifier, table.split(".", 1)))


def identifier(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _names(connection: duckdb.DuckDBPyConnection, of: str, value: str) -> dict[str, str]:
    """The tables or views of the open file, each `schema.name` in lower case with a column of the catalogue."""
    name = of.removeprefix("duckdb_").removesuffix("s") + "_name"
    rows = connection.execute(
        f"select lower(schema_name || '.' || {name}), {value} from {of}() "  # noqa: S608 - names of DuckDB's own
        "where database_name = current_database() and not internal"
    )
    return dict(rows.fetchall())


def _content(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    [(count, total)] = connection.execute(f"select count(*), sum(hash(_row)) from {table} as _row").fetchall()  # noqa: S608
    return f"{count} rows, {total or 0}"


class Copy:
    """A copy of tables in a new file, which replaces the published one once all of it can be read.

    Args:
        connection: of the warehouse, which it keeps from every other process while it is open.
        published: the readers' file.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, published: Path) -> None:
        self.connection, self.published = connection, published
        [(self.own,)] = connection.execute("select current_database()").fetchall()

    def make(self, fresh: Mapping[str, str], kept: Iterable[str]) -> list[str]:
        """Copy tables of the warehouse, and others as readers have them, and have readers see the new file.

        Args:
            fresh: `schema.table` of tables and views of the warehouse, with the print of each table.
            kept: `schema.table` of tables that stay as they are published, where they are.

        Returns:
            Those of `fresh` whose rows are not those of their print; if there are any, readers keep the file that they
            have.

        Raises:
            OSError, duckdb.Error: the copy cannot be made or read; readers keep the file that they have.
        """
        self.published.parent.mkdir(parents=True, exist_ok=True)
        _sweep(self.published)
        with tempfile.TemporaryDirectory(dir=self.published.parent, prefix=_prefix(self.published)) as folder:
            new = Path(folder, "new.duckdb")
            held = self._fill(new, Path(folder), list(fresh), list(kept))
            copied = _contents(new, [*fresh, *held])
            for table, content in held.items():
                _same(table, copied[table], content)
            changed = [table for table, expected in fresh.items() if self._changed(table, copied[table], expected)]
            if not changed:
                self._hand_over(new)
        return changed

    def _changed(self, table: str, copied: str, expected: str) -> bool:
        """Whether the warehouse's table is not as expected; a view has no print of its rows, which may change."""
        sql = _names(self.connection, "duckdb_tables", "sql").get(table.lower())
        if sql is None or _print(copied, sql) == expected:
            return False
        content = _content(self.connection, quoted(table))
        _same(table, copied, content)
        return _print(content, sql) != expected

    def _fill(self, new: Path, folder: Path, fresh: list[str], kept: list[str]) -> dict[str, str]:
        """Fill the new file; return what readers have in the kept tables."""
        held = dict[str, str]()
        with self._attached(new, "_platform_new", f"storage_version '{OLDEST_READER}'"):
            for table in fresh:
                self._table(self.own, table)
            with suppress(FileNotFoundError), self._old(folder) as old:
                for table in kept:
                    if table.lower() in old:
                        self._table("_platform_old", table)
                        held[table] = _content(self.connection, f"_platform_old.{quoted(table)}")
            self.connection.execute("checkpoint _platform_new")
        return held

    @contextmanager
    def _attached(self, path: Path, alias: str, how: str) -> Iterator[None]:
        self.connection.execute(f"attach {literal(str(path))} as {alias} ({how})")
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # after a failure that closed the database, the first error is the one to see
                self.connection.execute(f"detach {alias}")

    @contextmanager
    def _old(self, folder: Path) -> Iterator[set[str]]:
        """The published file under another name: what a reader left in a write-ahead log has no say."""
        old = folder / "old.duckdb"
        try:
            old.hardlink_to(self.published)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            shutil.copyfile(self.published, old)
        try:
            self.connection.execute(f"attach {literal(str(old))} as _platform_old (read_only)")
        except duckdb.Error:  # readers cannot read it either
            yield set()
            return
        try:
            names = self.connection.execute(
                "select lower(schema_name || '.' || table_name) from duckdb_tables() "
                "where database_name = '_platform_old' and not internal"
            )
            yield {name for (name,) in names.fetchall()}
        finally:
            self.connection.execute("detach _platform_old")

    def _table(self, database: str, table: str) -> None:
        """Copy a table with its constraints and comments, or what a view shows."""
        source = f"{identifier(database)}.{quoted(table)}"
        target = f"_platform_new.{quoted(table)}"
        schema, _, name = table.partition(".")
        self.connection.execute(f"create schema if not exists _platform_new.{identifier(schema)}")
        facts = self.connection.execute(
            "select sql, comment, schema_name, table_name from duckdb_tables() "
            "where database_name = ? and lower(schema_name) = lower(?) and lower(table_name) = lower(?)",
            [database, schema, name],
        ).fetchall()
        if not (facts and self._like(facts[0][0], source, target)):
            self.connection.execute(f"create or replace table {target} as from {source}")
        for what, comment in self._comments(database, facts, target):
            self.connection.execute(f"comment on {what} is {literal(comment)}")

    def _like(self, sql: str, source: str, target: str) -> bool:
        """Copy by the statement that made the table, constraints and all; False where that cannot be done elsewhere."""
        try:
            self.connection.execute("use _platform_new")
            self.connection.execute(sql)
            self.connection.execute(f"insert into {target} from {source}")
        except (duckdb.CatalogException, duckdb.BinderException, duckdb.ConstraintException, duckdb.ParserException):
            return False
        finally:
            self.connection.execute(f"use {identifier(self.own)}")
        return True

    def _comments(
        self, database: str, facts: list[tuple[str, str | None, str, str]], target: str
    ) -> Iterator[tuple[str, str]]:
        for _, comment, schema, name in facts:
            if comment:
                yield f"table {target}", comment
            columns = self.connection.execute(
                "select column_name, comment from duckdb_columns() where database_name = ? and schema_name = ? "
                "and table_name = ? and comment is not null",
                [database, schema, name],
            )
            for column, text in columns.fetchall():
                yield f"column {target}.{identifier(column)}", text

    def _hand_over(self, new: Path) -> None:
        with new.open("rb") as file:
            os.fsync(file.fileno())
        # A client that opens it to write gets an error, rather than a log of its own beside the file.
        new.chmod(0o444)
        # Left by a reader that wrote and was killed: it belongs to the file that goes.
        self.published.with_name(f"{self.published.name}.wal").unlink(missing_ok=True)
        new.replace(self.published)
        folder = os.open(self.published.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _contents(new: Path, tables: Iterable[str]) -> dict[str, str]:
    """Read every row of the new file."""
    with duckdb.connect(str(new), read_only=True) as connection:
        return {table: _content(connection, quoted(table)) for table in tables}


def _same(table: str, copied: str, content: str) -> None:
    if copied != content:
        raise duckdb.IOException(f"the copy of {table} has {copied} where the original has {content}")


def _prefix(published: Path) -> str:
    return f".{published.name}."


def _sweep(published: Path) -> None:
    """Remove what a killed process left."""
    for left in published.parent.iterdir():
        if left.name.startswith(_prefix(published)):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def publish(connection: duckdb.DuckDBPyConnection, state: State, published: Path) -> None:
    """Have readers see each table that passed, as it was when it passed, and keep what they have of the others.

    Raises:
        OSError, duckdb.Error: as `Copy.make`.
    """
    graph = state.graph or Graph()
    tables = _names(connection, "duckdb_tables", "sql")
    cheap = [id_ for id_, node in graph.nodes.items() if not node.ephemeral and node.table.lower() not in tables]
    looked_at = {*cheap, *(id_ for id_, version in state.versions.items() if version.pending)} & graph.nodes.keys()
    while True:
        ledger.found(state, prints(connection, graph, looked_at))
        changed = Copy(connection, published).make(*_to_publish(connection, graph, state))
        if not changed:
            return
        looked_at = {id_ for id_, node in graph.nodes.items() if node.table in changed}


def everything(connection: duckdb.DuckDBPyConnection) -> State:
    """Every table of a file that dbt has not built under the platform, as if it had passed."""
    names = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where database_name = current_database() and not internal"
    )
    graph = Graph(nodes={name: Node(table=name) for (name,) in names.fetchall()})
    found = prints(connection, graph, graph.nodes)
    return State(graph=graph, versions={name: Version(id="", built=True, print=found[name]) for name in found})


def _to_publish(connection: duckdb.DuckDBPyConnection, graph: Graph, state: State) -> tuple[dict[str, str], list[str]]:
    """`schema.table` of those that passed, with their print, and of those that did not.

    A view that reads a source is neither: what it shows changes with raw, whatever was tested.
    """
    tables, views = _names(connection, "duckdb_tables", "sql"), _names(connection, "duckdb_views", "sql")
    passed = ledger.passed(state, graph)

    def still(node: str) -> bool:
        """Whether a node shows the same rows as long as no table is built."""
        known = graph.nodes.get(node)
        if known is None:
            return False
        table = known.table.lower()
        of_parents = known.ephemeral or (table not in tables and (known.view or table in views))
        return not of_parents or all(map(still, known.parents))

    fit = {id_: node for id_, node in graph.nodes.items() if not node.ephemeral and still(id_)}
    fresh = {node.table: state.versions[id_].print for id_, node in fit.items() if id_ in passed}
    return fresh, [node.table for id_, node in fit.items() if id_ not in passed]

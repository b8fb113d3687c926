"""Publishes the warehouse's tested tables to the readers' DuckDB file, which is replaced in one step."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from blocks import ledger
from blocks.duckdb_fence import literal
from blocks.duckdb_file import CHECKSUM, HEADERS, OLDEST_READER, File, block_size, identifier, names, prints, quoted
from blocks.ledger import Graph, Node, State, Version


class Copy:
    """Copies tables to a new file, which replaces the published file when it is complete.

    If every reader's DuckDB can open the warehouse's format, the whole file is copied, by reference if the file system
    supports it. Tables that are not published are then dropped from the copy. Otherwise, each table is copied.

    Args:
        file: the warehouse. No other process can open it while this one has it open.
        published: the readers' file.
    """

    def __init__(self, file: File, published: Path) -> None:
        self.file, self.connection, self.published = file, file.connection, published
        [(self.own,)] = self.connection.execute("select current_database()").fetchall()

    def make(self, fresh: Iterable[str], kept: Iterable[str]) -> None:
        """Publish a new file with tables from the warehouse, and with other tables from the published file.

        Args:
            fresh: `schema.table` of tables and views in the warehouse.
            kept: `schema.table` of tables to take over from the published file, if they are there.

        Raises:
            OSError, duckdb.Error: the copy cannot be made or read. The published file does not change.
        """
        self.published.parent.mkdir(parents=True, exist_ok=True)
        _sweep(self.published)
        with tempfile.TemporaryDirectory(dir=self.published.parent, prefix=_prefix(self.published)) as folder:
            new = Path(folder, "new.duckdb")
            self._fill(new, Path(folder), list(fresh), list(kept))
            self._replace_published(new)

    def _fill(self, new: Path, folder: Path, fresh: list[str], kept: list[str]) -> None:
        tables = names(self.connection, "duckdb_tables", "sql")
        cloned = set[str]()
        if whole := self._clone(new):
            self._check(new)
            cloned = {table for table in fresh if table.lower() in tables}
        with self._attached(new, "_platform_new", "" if whole else f"(storage_version '{OLDEST_READER}')"):
            if whole:
                self._drop_all_but({table.lower() for table in cloned})
            for table in fresh:
                if table not in cloned:
                    self._table(self.own, table)
                    if table.lower() in tables:  # a view may show other rows each time
                        self._compare(self.own, table)
            with suppress(FileNotFoundError), self._old(folder) as old:
                for table in kept:
                    if table.lower() in old:
                        self._table("_platform_old", table)
                        self._compare("_platform_old", table)
            self.connection.execute("checkpoint _platform_new")

    def _clone(self, new: Path) -> bool:
        """Copy the file. Return False if some readers' DuckDB could not open the copy."""
        [(version,)] = self.connection.execute(
            "select tags['storage_version'] from duckdb_databases() where database_name = current_database()"
        ).fetchall()
        if _number(version or "") > _number(OLDEST_READER):
            return False
        size = os.fstat(self.file.descriptor).st_size
        with new.open("wb") as target:
            done = 0
            while done < size:
                done += _some(self.file.descriptor, target.fileno(), done, size - done)
        return True

    def _drop_all_but(self, tables: set[str]) -> None:
        of_copy = "where database_name = '_platform_new' and not internal"
        found = self.connection.execute(
            f"select 'view', schema_name, view_name from duckdb_views() {of_copy} union all "  # noqa: S608
            f"select 'table', schema_name, table_name from duckdb_tables() {of_copy}"
        ).fetchall()
        for kind, schema, name in found:
            if f"{schema}.{name}".lower() not in tables:
                self.connection.execute(f"drop {kind} _platform_new.{quoted(f'{schema}.{name}')} cascade")
        for (schema,) in self.connection.execute(
            f"select schema_name from duckdb_schemas() {of_copy} and schema_name <> 'main'"  # noqa: S608
        ).fetchall():
            if not any(table.startswith(f"{schema}.".lower()) for table in tables):
                self.connection.execute(f"drop schema _platform_new.{identifier(schema)} cascade")

    def _compare(self, database: str, table: str) -> None:
        """Check that a copied table has the same rows as its original."""
        content = "select count(*), sum(hash(_row)) from {}.{} as _row"
        copied, original = (
            self.connection.execute(content.format(identifier(each), quoted(table))).fetchall()
            for each in ("_platform_new", database)
        )
        if copied != original:
            raise duckdb.IOException(f"the copy of {table} has {copied} where the original has {original}")

    def _check(self, new: Path) -> None:
        """Check that the copied blocks have the same checksums as the warehouse's."""
        size, own = block_size(self.connection), self.file.descriptor
        with new.open("rb") as copy:
            if (end := os.fstat(own).st_size) != os.fstat(copy.fileno()).st_size:
                raise duckdb.IOException("the copy is not as long as the warehouse")
            for place in range(HEADERS, end, size):
                if os.pread(own, CHECKSUM, place) != os.pread(copy.fileno(), CHECKSUM, place):
                    raise duckdb.IOException(f"the copy differs from the warehouse in the block at byte {place}")

    @contextmanager
    def _attached(self, path: Path, alias: str, how: str) -> Iterator[None]:
        self.connection.execute(f"attach {literal(str(path))} as {alias} {how}")
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # if a failure closed the database, the first error is the important one
                self.connection.execute(f"detach {alias}")

    @contextmanager
    def _old(self, folder: Path) -> Iterator[set[str]]:
        """Attach the published file under another name, so that a reader's write-ahead log has no effect."""
        old = folder / "old.duckdb"
        try:
            old.hardlink_to(self.published)
        except FileNotFoundError:
            raise
        except OSError:  # the file system does not support links
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
        """Copy a table with its constraints and comments, or a view's rows."""
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
        """Copy a table by its own CREATE statement, with its constraints. Return False if that fails in the copy."""
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

    def _replace_published(self, new: Path) -> None:
        with new.open("rb") as file:
            os.fsync(file.fileno())
        # A client that opens the file for writing gets an error, and does not create a log beside the file.
        new.chmod(0o444)
        # A reader that wrote and was killed may have left a log, which belongs to the old file.
        self.published.with_name(f"{self.published.name}.wal").unlink(missing_ok=True)
        new.replace(self.published)
        folder = os.open(self.published.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _some(source: int, target: int, offset: int, count: int) -> int:
    """Copy some bytes between files, by reference if the file system supports it; return their number."""
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # the files are on different file systems
            if copied := os.copy_file_range(source, target, count, offset, offset):
                return copied
    if not (piece := os.pread(source, min(count, 1 << 20), offset)):
        raise OSError("the warehouse became shorter while it was copied")
    return os.pwrite(target, piece, offset)


def _number(version: str) -> list[int]:
    """Split a version into numbers that can be compared."""
    return [int(part) for part in re.findall(r"[0-9]+", version)]


def _prefix(published: Path) -> str:
    return f".{published.name}."


def _sweep(published: Path) -> None:
    """Remove temporary files of killed processes."""
    for path in published.parent.iterdir():
        if path.name.startswith(_prefix(published)):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def publish(file: File, state: State, published: Path) -> None:
    """Publish each table that passed, in the version that passed, and keep the published version of the others.

    Raises:
        OSError, duckdb.Error: see `Copy.make`.
    """
    graph = state.graph or Graph()
    ledger.reconcile(state, prints(file, graph, [id_ for id_, node in graph.nodes.items() if not node.ephemeral]))
    Copy(file, published).make(*_to_publish(file.connection, graph, state))


def everything(file: File) -> State:
    """Return a state in which every table of a file has passed, for a file that the platform has not built."""
    tables = file.connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where database_name = current_database() and not internal"
    )
    graph = Graph(nodes={name: Node(table=name) for (name,) in tables.fetchall()})
    found = prints(file, graph, graph.nodes)
    return State(graph=graph, versions={name: Version(id="", built=True, print=found[name]) for name in found})


def _to_publish(connection: duckdb.DuckDBPyConnection, graph: Graph, state: State) -> tuple[list[str], list[str]]:
    """Return `schema.table` of the tables that passed, and of those that did not.

    A view that reads a source is in neither list: its rows change with raw after they were tested.
    """
    tables, views = names(connection, "duckdb_tables", "sql"), names(connection, "duckdb_views", "sql")
    passed = ledger.passed(state, graph)

    def is_stable(node: str) -> bool:
        """Return whether a node shows the same rows until a table is built."""
        known = graph.nodes.get(node)
        if known is None:
            return False
        table = known.table.lower()
        shows_parents = known.ephemeral or (table not in tables and (known.view or table in views))
        return not shows_parents or all(map(is_stable, known.parents))

    stable = {id_: node for id_, node in graph.nodes.items() if not node.ephemeral and is_stable(id_)}
    fresh = [node.table for id_, node in stable.items() if id_ in passed]
    return fresh, [node.table for id_, node in stable.items() if id_ not in passed]

"""Run one attempt of a sync: load each stream's new object versions into the destination.

A file is committed under a name derived from its object version. If a worker dies after that commit but before the
engine records it, the next attempt finds the name and only reports the file. So nothing is loaded twice.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from services.airbyte.catalog.like_airbyte import History
from services.airbyte.errors import DestinationError, SchemaChanged
from services.airbyte.formats import SourceFile, open_file
from services.airbyte.formats.csv_file import CsvFile
from services.airbyte.formats.model import BadFile, check_shared, widest
from services.airbyte.load import source_s3
from services.airbyte.load.convert import Origin, connect, to_parquet
from services.airbyte.load.destination import Destination, open_destination
from services.airbyte.load.lake import LakeFolder
from services.airbyte.load.messages import MAX_MESSAGE_LENGTH, local_failure, s3_failure, shortened, unexpected_failure
from services.airbyte.load.source_s3 import Download, ObjectVersion
from services.airbyte.names import digest, target_name
from services.airbyte.protocol import (
    Committed,
    Compacted,
    Discovered,
    Failed,
    Ignored,
    Message,
    NewColumns,
    Reading,
    Removed,
    StreamTask,
    SyncTask,
    Widened,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Emit = Callable[[Message], None]


def run(task: SyncTask, emit: Emit) -> None:
    """Load all streams, several in parallel. A stream that fails does not stop the others.

    The streams share DuckDB's memory. A stream that ran out of memory is loaded again after the others, alone.
    """
    work_dir = Path(task.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    database = connect(task.memory_limit, task.threads, work_dir / "spill")

    def load(stream: StreamTask, alone: bool) -> bool:
        with database.cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return _StreamLoader(task, stream, connection, emit).run(alone)

    with ThreadPoolExecutor(task.streams_at_once) as pool:
        ended = list(pool.map(load, task.streams, repeat(len(task.streams) == 1)))
    for stream, had_memory in zip(task.streams, ended, strict=True):
        if not had_memory:
            load(stream, alone=True)


class _StreamLoader:
    def __init__(self, task: SyncTask, stream: StreamTask, connection: duckdb.DuckDBPyConnection, emit: Emit) -> None:
        self._task = task
        self._stream = stream
        self._connection = connection
        self._emit = emit
        self._destination: Destination
        self._columns: dict[str, str] = {}
        self._stored_columns: set[str] = set()  # columns that exist in the destination
        self._committed_targets: set[str] = set()
        self._key = ""
        self._history = _history(stream) if task.like_airbyte else None

    def run(self, alone: bool) -> bool:
        """Process the stream; return False if it ran out of memory while other streams were loading.

        Files are loaded oldest first, and the first bad file stops the stream, so newer rows never come before older.
        """
        try:
            if self._task.discover:
                self._discover()
                return True
            with closing(
                open_destination(self._connection, self._task, self._stream, self._heartbeat)
            ) as self._destination:
                self._columns = self._destination.prepare(self._stream.columns)
                self._run_task()
        except SchemaChanged as error:
            self._emit(NewColumns(self._stream.name, error.names, self._key))
        except BadFile as error:
            where = f"s3://{self._task.bucket}/{self._key}" + (f", line {error.line}" if error.line else "")
            self._fail(
                "config_error", f"{where}: {error.reason}. None of its rows were loaded. Fix the file, then sync again."
            )
        except (ClientError, BotoCoreError, ResponseParserError, RecursionError) as error:
            self._fail(*s3_failure(error, self._task))
        except DestinationError as error:
            self._fail(error.failure_type, str(error), origin="destination")
        except (OSError, duckdb.Error) as error:
            if isinstance(error, duckdb.OutOfMemoryException) and not alone:
                return False
            self._fail("system_error", local_failure(error, self._stream.place, self._key), origin="destination")
        except Exception as error:  # noqa: BLE001 - an unexpected error must not stop the other streams
            self._fail("system_error", unexpected_failure(error, self._key), detail=traceback.format_exc())
        return True

    def _run_task(self) -> None:
        if self._task.clear:
            self._destination.clear()
        elif self._task.remove:
            self._key = self._task.remove
            self._emit(Removed(self._stream.name, self._destination.remove(self._key, self._stream.targets)))
        elif self._task.compact:
            self._key = "the merged files"
            if isinstance(self._destination, LakeFolder):
                self._emit(Compacted(self._stream.name, *self._destination.compact(self._stream.targets)))
        elif not self._task.prepare_only:
            self._load_all()

    def _discover(self) -> None:
        client = source_s3.connect(self._task.s3)
        for version in self._list_versions(client):
            self._key = version.key
            if got := self._download(client, version):
                source = self._open(version.key, got)
                types = {**source.empty, **self._inferred(source)}
                self._emit(Discovered(self._stream.name, {name: types.get(name, "string") for name in source.names}))
                return

    def _infer_from_all_files(self, client: "S3Client") -> None:
        """Infer types that fit the values of all files, before any row is loaded with narrower types."""
        for version, download in source_s3.prefetch(partial(self._download, client), self._list_versions(client)):
            self._key = version.key
            self._heartbeat()
            if (got := download.result()) is not None:
                source = self._open(version.key, got)
                check_shared(source.names, self._columns)
                self._columns |= self._missing_columns(self._inferred(source))
                got.path.unlink()

    def _load_all(self) -> None:
        client = source_s3.connect(self._task.s3)
        if not self._columns:
            with suppress(BadFile):  # loading reports the bad file, after it has loaded the files before it
                self._infer_from_all_files(client)
            self._destination.set_columns(self._columns)
        self._stored_columns = set(self._columns)
        bad: list[tuple[str, BadFile]] = []
        files = self._list_versions(client, self._report_ignored)
        for version, download in source_s3.prefetch(partial(self._download, client), files):
            self._key = version.key
            self._emit(Reading(self._stream.name, version.key))
            try:
                self._load(version, download)
            except BadFile as error:
                if not self._task.like_airbyte:
                    raise
                bad.append((version.key, error))
        if bad:
            self._key, first = bad[0]
            raise first
        if self._stream.overwrite:
            self._destination.keep_only(self._committed_targets)

    def _list_versions(
        self, client: "S3Client", ignored: Callable[[ObjectVersion, str], None] = lambda *_: None
    ) -> Iterator[ObjectVersion]:
        stream = self._stream
        return source_s3.list_versions(client, self._task.bucket, stream.prefix, stream.globs, stream.format, ignored)

    def _report_ignored(self, version: ObjectVersion, reason: str) -> None:
        self._emit(Ignored(self._stream.name, version.key, version.etag, reason))

    def _download(self, client: "S3Client", listed: ObjectVersion) -> Download | None:
        """Download a version; return None if it was read before, or was deleted after it was listed."""
        if self._was_read(listed):
            return None
        local = Path(self._task.work_dir) / f"{self._stream.name}-{digest(listed.key)}"
        try:
            limits, chosen = self._task.limits, self._stream.format
            return source_s3.download(client, self._task.bucket, listed, local, limits, chosen)
        except client.exceptions.NoSuchKey:
            return None

    def _load(self, listed: ObjectVersion, download: "Future[Download | None]") -> None:
        etag, number, _ = self._stream.read.get(listed.key, UNREAD)
        if self._was_read(listed):
            self._committed_targets.add(self._target(listed.key, etag, number))
            return
        target = self._target(listed.key, listed.etag, number + 1)
        if (rows := self._destination.rows_of(target)) is not None:
            self._report(listed, number + 1, target, rows, 0)
            return
        if self._task.vanish:
            message = f"{listed.key} disappeared during the sync"
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": message}}, "GetObject")
        if (got := download.result()) is None or (not self._history and got.version.etag == etag):
            return
        target = self._target(got.version.key, got.version.etag, number + 1)
        try:
            self._commit(got, target, number + 1)
        except BadFile as error:
            if self._task.like_airbyte and error.line:
                self._commit_before(error.line, got, number + 1)
            raise
        finally:
            got.path.unlink(missing_ok=True)

    def _commit(self, got: Download, target: str, number: int, partial: bool = False) -> None:
        found, source = got.version, self._open(got.version.key, got)
        check_shared(source.names, self._columns)
        needed = self._approved_columns(self._missing_columns(self._file_types(source)))
        columns = self._columns | needed
        rows = self._convert(source, found, columns)
        source.check(rows)
        if rows and not self._stream.columns:
            self._widen_columns(needed, found.key)
        if rows:
            self._destination.add(target, rows, columns)
        self._report(found, number, target, rows, source.skipped, partial)

    def _commit_before(self, line: int, got: Download, number: int) -> None:
        """Commit the rows before a bad line: Airbyte has already emitted them when it reaches the line.

        The file still counts as unread, so its next version loads these rows again.
        """
        found, before = got.version, source_s3.copy_before_line(got, line, self._task.limits, self._stream.format)
        with suppress(BadFile):
            self._commit(before, self._target(found.key, f"{found.etag} {self._task.job_id}", number), number, True)
        before.path.unlink(missing_ok=True)

    def _was_read(self, listed: ObjectVersion) -> bool:
        etag, _, date = self._stream.read.get(listed.key, UNREAD)
        if self._history and (date or not etag):
            return not self._history.wants(listed.key, listed.last_modified)
        return etag == listed.etag

    def _inferred(self, source: SourceFile) -> dict[str, str]:
        """Return the types of a file's values. Airbyte reads CSV as text unless the format infers types."""
        if self._task.like_airbyte and isinstance(source, CsvFile):
            return dict.fromkeys(source.names, "string")
        return source.infer()

    def _open(self, key: str, got: Download) -> SourceFile:
        return open_file(self._connection, key, got.path, got.survey, self._task.limits, self._stream.format)

    def _file_types(self, source: SourceFile) -> dict[str, str]:
        """Return the types of a file's columns. If columns are declared, return only the undeclared ones, as text."""
        types = {} if self._stream.columns else self._inferred(source)
        known = {name.lower() for name in self._columns}
        new = [name for name in source.names if name.lower() not in known]
        unknown = {} if self._stream.columns else source.empty
        return {name: unknown.get(name, "string") for name in new} | types

    def _missing_columns(self, types: Mapping[str, str]) -> dict[str, str]:
        """Return the columns that the stream lacks, and those whose type is too narrow for these types."""
        known = {name.lower(): name for name in self._columns}
        needed = {}
        for name, type_ in types.items():
            if (column := known.get(name.lower())) is None:
                needed[name] = type_
            elif (wide := self._wider_type(column, type_)) != self._columns[column]:
                needed[column] = wide
        return self._selected(needed)

    def _approved_columns(self, needed: dict[str, str]) -> dict[str, str]:
        """Return the columns that may be added or widened; the connection says if new ones are added or ignored.

        Raises:
            SchemaChanged: there are new columns, and someone has to approve them first.
        """
        new = [name for name in needed if name not in self._columns and name not in self._stream.approved]
        if not new or self._stream.new_columns == "add" or not self._columns:
            return needed
        if self._stream.new_columns == "stop":
            raise SchemaChanged(new)
        return {name: type_ for name, type_ in needed.items() if name not in new}

    def _wider_type(self, column: str, type_: str) -> str:
        """Return a type for a column's existing values and for `type_`; text if a double would round some of them."""
        known = self._columns[column]
        wide = widest(known, type_)
        if (known, wide) == ("integer", "number") and column in self._stored_columns:
            return wide if self._destination.fits_double(column) else "string"
        return wide

    def _widen_columns(self, needed: Mapping[str, str], key: str) -> None:
        """Add and widen the stream's inferred columns as a file needs, and report each changed type."""
        wider = {name: type_ for name, type_ in needed.items() if name in self._columns}
        for name, type_ in wider.items():
            self._emit(Widened(self._stream.name, name, self._columns[name], type_, key))
        self._columns |= needed
        self._stored_columns |= needed.keys()
        if needed:
            self._destination.set_columns(self._columns, wider)

    def _convert(self, source: SourceFile, found: ObjectVersion, columns: dict[str, str]) -> int:
        job, text = self._task.job_id, self._task.like_airbyte
        strict = self._destination.strict_json
        origin = Origin(found.key, found.last_modified, job, self._stream.generation, text, strict)
        names, temporary = self._destination.names_in_file(columns), self._destination.temporary
        return to_parquet(self._connection, source, temporary, columns, names, origin)

    def _selected(self, columns: dict[str, str]) -> dict[str, str]:
        wanted = self._stream.selected
        return {name: type_ for name, type_ in columns.items() if wanted is None or name.lower() in wanted}

    def _target(self, key: str, etag: str, number: int) -> str:
        return target_name(self._task.connection_id, self._stream.name, self._stream.generation, key, etag, number)

    def _report(
        self, found: ObjectVersion, number: int, target: str, rows: int, skipped: int, partial: bool = False
    ) -> None:
        self._committed_targets.add(target)
        date = found.last_modified.isoformat()
        if not partial:
            self._stream.read[found.key] = (found.etag, number, date)
        name, generation, etag, size = self._stream.name, self._stream.generation, found.etag, found.size
        self._emit(Committed(name, found.key, etag, number, generation, rows, size, target, skipped, date, partial))

    def _heartbeat(self) -> None:
        """Send the engine a sign of life."""
        self._emit(Reading(self._stream.name, self._key))

    def _fail(self, failure_type: str, message: str, origin: str = "source", detail: str = "") -> None:
        message = shortened(message, self._task.work_dir, self._key)
        self._emit(Failed(self._stream.name, failure_type, message, origin, detail[-MAX_MESSAGE_LENGTH:]))


UNREAD = ("", 0, "")


def _history(stream: StreamTask) -> History:
    return History({key: datetime.fromisoformat(date) for key, (_, _, date) in stream.read.items() if date})

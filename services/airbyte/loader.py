"""One attempt of a sync: every stream's unread object versions to Parquet files in the lake.

A file is committed by renaming it to a name made of what it holds. So a run that died between that rename and the
recording of it is repeated without harm: the next one finds the name and only reports it.
"""

import errno
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from services.airbyte import objects
from services.airbyte.convert import BadFile, Origin, connect, csv_to_parquet, write_empty
from services.airbyte.names import schema_name, target_name
from services.airbyte.objects import ObjectVersion
from services.airbyte.protocol import Committed, Failed, Message, StreamTask, SyncTask

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Emit = Callable[[Message], None]
WRONG_SETTINGS = {"NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "404"}


def run(task: SyncTask, emit: Emit) -> None:
    """Load all streams, several side by side; a stream that fails leaves the others alone."""
    work_dir = Path(task.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    database = connect(task.memory_limit, task.threads, work_dir / "spill")
    for stream in task.streams:
        _prepare(database, stream)
    if task.prepare_only:
        return
    client = objects.connect(task.s3)

    def load(stream: StreamTask) -> None:
        with database.cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            _StreamLoader(task, stream, connection, client, emit).run()

    with ThreadPoolExecutor(task.streams_at_once) as pool:
        list(pool.map(load, task.streams))


def _prepare(database: duckdb.DuckDBPyConnection, stream: StreamTask) -> None:
    folder = Path(stream.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    if not (schema := folder / schema_name(stream.columns)).exists():
        write_empty(database, stream.columns, temporary := folder / ".schema.tmp")
        _commit(temporary, schema)
    for stale in set(folder.glob("_schema-*.parquet")) - {schema}:
        stale.unlink()


class _StreamLoader:
    def __init__(
        self,
        task: SyncTask,
        stream: StreamTask,
        connection: duckdb.DuckDBPyConnection,
        client: "S3Client",
        emit: Emit,
    ) -> None:
        self._task = task
        self._stream = stream
        self._connection = connection
        self._client = client
        self._emit = emit
        self._folder = Path(stream.folder)
        self._local = Path(task.work_dir) / f"{stream.name}.download"
        self._temporary = self._folder / f".{task.job_id}-{os.getpid()}.tmp"
        self._written: set[str] = set()

    def run(self) -> None:
        """Files are taken oldest first and the first bad one stops the stream, so newer rows never precede older."""
        key = ""
        try:
            for version in objects.list_versions(self._client, self._task.bucket, self._stream.prefix):
                key = version.key
                self._load(version)
            if self._stream.overwrite:
                self._remove_older_generations()
        except BadFile as error:
            where = f"s3://{self._task.bucket}/{key}" + (f", line {error.line}" if error.line else "")
            self._fail(
                "config_error", f"{where}: {error.reason}. None of its rows were loaded; mend the file, sync again."
            )
        except (ClientError, BotoCoreError) as error:
            self._fail(*_s3_failure(error, self._task))
        except (OSError, duckdb.Error) as error:
            self._fail("system_error", _local_failure(error, self._folder, key), origin="destination")
        finally:
            self._temporary.unlink(missing_ok=True)
            self._local.unlink(missing_ok=True)

    def _load(self, listed: ObjectVersion) -> None:
        etag, number = self._stream.read.get(listed.key, ("", 0))
        if etag == listed.etag:
            self._written.add(self._target(listed.key, etag, number).name)
            return
        target = self._target(listed.key, listed.etag, number + 1)
        if target.exists():
            self._report(listed, number + 1, target, self._rows_of(target))
            return
        if self._task.vanish:
            message = f"{listed.key} disappeared during the sync"
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": message}}, "GetObject")
        try:
            download = objects.download(self._client, self._task.bucket, listed.key, self._local)
        except self._client.exceptions.NoSuchKey:
            return  # deleted since it was listed
        found = download.version
        if found.etag == etag:
            return
        target = self._target(found.key, found.etag, number + 1)
        origin = Origin(found.key, found.last_modified, self._task.job_id, self._stream.generation)
        rows = csv_to_parquet(
            self._connection, self._local, self._temporary, self._stream.columns, origin, download.fractions
        )
        if rows:
            _commit(self._temporary, target)
        self._report(found, number + 1, target, rows)

    def _target(self, key: str, etag: str, number: int) -> Path:
        return self._folder / target_name(
            self._task.connection_id, self._stream.name, self._stream.generation, key, etag, number
        )

    def _rows_of(self, target: Path) -> int:
        row = self._connection.execute("SELECT count(*) FROM read_parquet(?)", [str(target)]).fetchone()
        return int(row[0]) if row else 0

    def _report(self, found: ObjectVersion, number: int, target: Path, rows: int) -> None:
        self._written.add(target.name)
        generation = self._stream.generation
        self._emit(
            Committed(self._stream.name, found.key, found.etag, number, generation, rows, found.size, target.name)
        )

    def _remove_older_generations(self) -> None:
        keep = self._written | {schema_name(self._stream.columns)}
        for file in self._folder.glob("*.parquet"):
            if file.name not in keep:
                file.unlink()

    def _fail(self, failure_type: str, message: str, origin: str = "source") -> None:
        self._emit(Failed(self._stream.name, failure_type, message, origin))


def _commit(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _s3_failure(error: ClientError | BotoCoreError, task: SyncTask) -> tuple[str, str]:
    where = f"bucket {task.bucket}" + (f" at {task.s3.endpoint_url}" if task.s3.endpoint_url else "")
    if isinstance(error, NoCredentialsError):
        return "config_error", f"S3 ({where}): no credentials. Set MOCK_AIRBYTE_S3_ACCESS_KEY_ID or AWS_ACCESS_KEY_ID."
    if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in WRONG_SETTINGS:
        return "config_error", f"S3 ({where}): {error}. Check the bucket's name and the credentials."
    return "transient_error", f"S3 ({where}): {error}"


def _local_failure(error: OSError | duckdb.Error, folder: Path, key: str) -> str:
    text = str(error).splitlines()[0]
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    if full or re.search(r"No space left|File too large|quota exceeded", text, re.IGNORECASE):
        return f"no room to write {key} into {folder}: {text}. Free some space and sync again."
    return f"cannot write {key} into {folder}: {text}"

"""The mock's persistent state, in one SQLite file: jobs, attempts, read files, generations, resources and tokens."""

import fcntl
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from services.airbyte.jobs.job_query import JobQuery, where
from services.airbyte.jobs.model import ALLOWED_CHANGES, TERMINAL, Attempt, Job, JobStatus, JobType, StreamStats
from services.airbyte.names import object_condition
from services.airbyte.protocol import Committed, Ignored

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  job_id INTEGER PRIMARY KEY AUTOINCREMENT, connection_id TEXT NOT NULL, job_type TEXT NOT NULL, status TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, rows INTEGER, bytes INTEGER);
CREATE UNIQUE INDEX IF NOT EXISTS one_active_job ON jobs (connection_id)
  WHERE status IN ('pending', 'queued', 'running', 'incomplete');
CREATE INDEX IF NOT EXISTS jobs_by_creation ON jobs (created_at);
CREATE TABLE IF NOT EXISTS attempts (
  job_id INTEGER, number INTEGER, status TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  ended_at INTEGER, failures TEXT NOT NULL, streams TEXT NOT NULL, PRIMARY KEY (job_id, number));
CREATE TABLE IF NOT EXISTS read_files (
  connection_id TEXT, stream TEXT, generation INTEGER, key TEXT, version INTEGER, etag TEXT NOT NULL,
  rows INTEGER NOT NULL, bytes INTEGER NOT NULL, target TEXT NOT NULL, job_id INTEGER NOT NULL,
  modified TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (connection_id, stream, generation, key, version));
CREATE TABLE IF NOT EXISTS ignored_files (
  connection_id TEXT, key TEXT, etag TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (connection_id, key));
CREATE TABLE IF NOT EXISTS notes (job_id INTEGER, attempt INTEGER, line TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS notes_by_job ON notes (job_id, attempt);
CREATE TABLE IF NOT EXISTS generations (
  connection_id TEXT, stream TEXT, generation INTEGER NOT NULL, job_id INTEGER NOT NULL,
  PRIMARY KEY (connection_id, stream));
CREATE TABLE IF NOT EXISTS refreshes (
  job_id INTEGER, stream TEXT, keeps_rows INTEGER NOT NULL, PRIMARY KEY (job_id, stream));
CREATE TABLE IF NOT EXISTS new_columns (
  connection_id TEXT, stream TEXT, name TEXT, approved INTEGER NOT NULL, PRIMARY KEY (connection_id, stream, name));
CREATE TABLE IF NOT EXISTS tokens (token_hash TEXT PRIMARY KEY, expires_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS resources (
  resource_id TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, deleted INTEGER NOT NULL);
"""
ACTIVE = tuple(status.value for status in JobStatus if status not in TERMINAL)
SELECT_JOBS = "SELECT job_id, connection_id, job_type, status, created_at, updated_at, rows, bytes FROM jobs"


class AlreadyRunning(Exception):
    """The connection has an active job."""


class StateInUse(Exception):
    """Another mock is using the state folder."""


def now() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000


class Store:
    """Used only in the event loop's thread, since a call takes well under a millisecond."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self._lock = (state_dir / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise StateInUse(
                f"Another mock is using {state_dir}. Stop it, or choose another folder with MOCK_AIRBYTE_STATE_DIR."
            ) from None
        self._db = sqlite3.connect(state_dir / "state.sqlite", isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + SCHEMA)
        if "modified" not in [row[1] for row in self._db.execute("PRAGMA table_info(read_files)")]:
            self._db.execute("ALTER TABLE read_files ADD COLUMN modified TEXT NOT NULL DEFAULT ''")  # older versions

    def close(self) -> None:
        self._db.close()
        self._lock.close()

    # jobs

    def create_job(self, connection_id: UUID, job_type: JobType) -> Job:
        at = now()
        values = (str(connection_id), job_type.value, JobStatus.PENDING.value, at, at)
        sql = "INSERT INTO jobs (connection_id, job_type, status, created_at, updated_at) VALUES (?, ?, ?, ?, ?)"
        try:
            job_id = self._db.execute(sql, values).lastrowid
        except sqlite3.IntegrityError:
            raise AlreadyRunning(str(connection_id)) from None
        return self.job(int(job_id or 0))

    def job(self, job_id: int) -> Job:
        """Return a job.

        Raises:
            KeyError: there is no such job.
        """
        try:
            row = self._db.execute(f"{SELECT_JOBS} WHERE job_id = ?", (job_id,)).fetchone()
        except OverflowError:  # too large for SQLite's integers
            row = None
        if row is None:
            raise KeyError(job_id)
        return _job(row)

    def active_jobs(self, connection_id: UUID | None = None) -> list[Job]:
        sql = f"{SELECT_JOBS} WHERE status IN ({', '.join('?' * len(ACTIVE))})"
        jobs = [_job(row) for row in self._db.execute(f"{sql} ORDER BY job_id", ACTIVE)]
        return [job for job in jobs if connection_id in (None, job.connection_id)]

    def jobs(self, query: JobQuery) -> list[Job]:
        condition, values = where(query)
        sql = f"{SELECT_JOBS} {condition} ORDER BY {query.order_by}, job_id LIMIT ? OFFSET ?"
        return [_job(row) for row in self._db.execute(sql, (*values, query.limit, query.offset))]

    def count_jobs(self, query: JobQuery) -> int:
        """Return the number of jobs on all pages."""
        condition, values = where(query)
        sql = f"SELECT count(*) FROM jobs {condition}"  # noqa: S608 - only column names
        return int(self._db.execute(sql, values).fetchone()[0])

    def set_status(self, job_id: int, status: JobStatus) -> None:
        before = self.job(job_id).status
        if status not in ALLOWED_CHANGES[before]:
            raise ValueError(f"Job {job_id} cannot change from {before} to {status}")
        self._db.execute("UPDATE jobs SET status = ?, updated_at = ? WHERE job_id = ?", (status.value, now(), job_id))

    # attempts

    def start_attempt(self, job_id: int, streams: list[str]) -> int:
        """Start a new attempt of a job; return its number, which counts from 0."""
        number = len(self.attempts(job_id))
        stats = json.dumps({stream: asdict(StreamStats()) for stream in streams})
        values = (job_id, number, "running", at := now(), at, "[]", stats)
        sql = "INSERT INTO attempts (job_id, number, status, created_at, updated_at, failures, streams)"
        with self._transaction():
            self._db.execute(f"{sql} VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            self._db.execute(
                "UPDATE jobs SET rows = coalesce(rows, 0), bytes = coalesce(bytes, 0) WHERE job_id = ?", (job_id,)
            )
            self.set_status(job_id, JobStatus.RUNNING)
        return number

    def end_attempt(self, job_id: int, number: int, status: JobStatus, failures: list[dict[str, Any]]) -> None:
        """End an attempt and change its job's status, in one transaction."""
        ended = "succeeded" if status is JobStatus.SUCCEEDED else "failed"
        with self._transaction():
            self._db.execute(
                "UPDATE attempts SET status = ?, updated_at = ?, ended_at = ?, failures = ?"
                " WHERE job_id = ? AND number = ?",
                (ended, at := now(), at, json.dumps(failures), job_id, number),
            )
            self.set_status(job_id, status)

    def end_last_attempt(self, job_id: int, status: JobStatus, failures: list[dict[str, Any]]) -> int:
        """End the attempt that a running job is in, and return its number; see `end_attempt`."""
        self.end_attempt(job_id, number := len(self.attempts(job_id)) - 1, status, failures)
        return number

    def attempts(self, job_id: int) -> list[Attempt]:
        sql = "SELECT number, status, created_at, updated_at, ended_at, failures, streams FROM attempts"
        rows = self._db.execute(f"{sql} WHERE job_id = ? ORDER BY number", (job_id,))
        return [_attempt(row) for row in rows]

    def note(self, job_id: int, number: int, line: str) -> None:
        """Add a line to an attempt's log."""
        self._db.execute("INSERT INTO notes VALUES (?, ?, ?)", (job_id, number, line))

    def notes(self, job_id: int, number: int) -> list[str]:
        sql = "SELECT line FROM notes WHERE job_id = ? AND attempt = ? ORDER BY rowid"
        return [row[0] for row in self._db.execute(sql, (job_id, number))]

    def ignore(self, connection_id: UUID, file: Ignored) -> bool:
        """Record an ignored object; return whether it is new, or was ignored for another reason or version before."""
        values = (str(connection_id), file.key, file.etag, file.reason)
        sql = """INSERT INTO ignored_files VALUES (?1, ?2, ?3, ?4) ON CONFLICT (connection_id, key) DO UPDATE
                 SET etag = ?3, reason = ?4 WHERE etag <> ?3 OR reason <> ?4"""
        return self._db.execute(sql, values).rowcount > 0

    def ignored(self, connection_id: UUID) -> list[tuple[str, str]]:
        """Return (key, reason) of the newest 1,000 ignored objects."""
        sql = "SELECT key, reason FROM ignored_files WHERE connection_id = ? ORDER BY rowid DESC LIMIT 1000"
        return self._db.execute(sql, (str(connection_id),)).fetchall()

    # read state

    def record(self, job: Job, number: int, file: Committed) -> None:
        """Record a committed file and add it to the statistics, in one transaction."""
        stats = self.attempts(job.job_id)[number].streams
        stream = stats.setdefault(file.stream, StreamStats())
        stream.records_emitted += file.rows + file.skipped
        stream.records_rejected += file.skipped
        stream.records_committed += file.rows
        stream.bytes_emitted += file.bytes
        stream.bytes_committed += file.bytes
        version = (str(job.connection_id), file.stream, file.generation, file.key, file.version)
        read = (file.etag, file.rows, file.bytes, file.target, job.job_id, file.modified)
        columns = "connection_id, stream, generation, key, version, etag, rows, bytes, target, job_id, modified"
        at = now()
        with self._transaction():
            if not file.partial:
                marks = ", ".join("?" * len(version + read))
                self._db.execute(f"INSERT INTO read_files ({columns}) VALUES ({marks})", version + read)  # noqa: S608 - constants
            self._db.execute(
                "UPDATE attempts SET streams = ?, updated_at = ? WHERE job_id = ? AND number = ?",
                (json.dumps({name: asdict(s) for name, s in stats.items()}), at, job.job_id, number),
            )
            self._db.execute(
                "UPDATE jobs SET rows = rows + ?, bytes = bytes + ?, updated_at = ? WHERE job_id = ?",
                (file.rows, file.bytes, at, job.job_id),
            )

    def read_versions(self, connection_id: UUID, stream: str, generation: int) -> dict[str, tuple[str, int, str]]:
        """Return the newest version of each key that was read: key -> (etag, version, date)."""
        sql = """SELECT key, etag, max(version), modified FROM read_files
                 WHERE connection_id = ? AND stream = ? AND generation = ? GROUP BY key"""
        rows = self._db.execute(sql, (str(connection_id), stream, generation))
        return {key: (etag, version, modified) for key, etag, version, modified in rows}

    def targets(self, connection_id: UUID, stream: str, key: str = "") -> list[str]:
        """Return the target names of all committed versions of an object, or of all objects if `key` is empty."""
        condition, values = object_condition(key, "key") if key else ("true", ())
        sql = f"SELECT target FROM read_files WHERE connection_id = ? AND stream = ? AND {condition}"  # noqa: S608 - a constant
        return [target for (target,) in self._db.execute(sql, (str(connection_id), stream, *values))]

    def flush(self) -> None:
        """Write all records to the disk, so that they survive a power failure."""
        self._db.execute("PRAGMA wal_checkpoint(FULL)")

    def forget(self, connection_id: UUID, key: str) -> None:
        """Forget that an object was read."""
        condition, values = object_condition(key, "key")
        sql = f"DELETE FROM read_files WHERE connection_id = ? AND {condition}"  # noqa: S608 - a constant
        self._db.execute(sql, (str(connection_id), *values))

    def totals(self, connection_id: UUID, stream: str, generation: int) -> tuple[int, int, int]:
        """Return how many files, rows and bytes the generation has read."""
        sql = """SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(bytes), 0) FROM read_files
                 WHERE connection_id = ? AND stream = ? AND generation = ?"""
        files, rows, size = self._db.execute(sql, (str(connection_id), stream, generation)).fetchone()
        return files, rows, size

    def generation(self, connection_id: UUID, stream: str) -> int:
        sql = "SELECT generation FROM generations WHERE connection_id = ? AND stream = ?"
        row = self._db.execute(sql, (str(connection_id), stream)).fetchone()
        return int(row[0]) if row else 0

    def next_generation(self, job: Job, stream: str) -> int:
        """Start a stream's next generation and return it. A job does this only once: later attempts continue in it."""
        sql = """INSERT INTO generations VALUES (?1, ?2, 1, ?3) ON CONFLICT (connection_id, stream) DO UPDATE
                 SET generation = generation + 1, job_id = ?3 WHERE job_id <> ?3"""
        self._db.execute(sql, (str(job.connection_id), stream, job.job_id))
        return self.generation(job.connection_id, stream)

    # refreshes, and changes of schemas

    def refresh(self, job_id: int, streams: list[str], keeps_rows: bool) -> None:
        """Record that a job reads these streams from the start."""
        rows = [(job_id, stream, keeps_rows) for stream in streams]
        self._db.executemany("INSERT INTO refreshes VALUES (?, ?, ?)", rows)

    def refreshed(self, job_id: int) -> dict[str, bool]:
        """Return the streams that a job reads from the start, and whether it keeps the rows of older generations."""
        rows = self._db.execute("SELECT stream, keeps_rows FROM refreshes WHERE job_id = ?", (job_id,))
        return {stream: bool(keeps) for stream, keeps in rows}

    def propose_columns(self, connection_id: UUID, stream: str, names: list[str]) -> None:
        """Record new columns, which someone has to approve."""
        rows = [(str(connection_id), stream, name) for name in names]
        self._db.executemany("INSERT OR IGNORE INTO new_columns VALUES (?, ?, ?, 0)", rows)

    def approve_columns(self, connection_id: UUID) -> None:
        self._db.execute("UPDATE new_columns SET approved = 1 WHERE connection_id = ?", (str(connection_id),))

    def approved_columns(self, connection_id: UUID, stream: str) -> list[str]:
        sql = "SELECT name FROM new_columns WHERE connection_id = ? AND stream = ? AND approved ORDER BY rowid"
        return [name for (name,) in self._db.execute(sql, (str(connection_id), stream))]

    # resources

    def save_resource(self, kind: str, resource_id: UUID, body: str, deleted: bool) -> None:
        """Save a resource that a caller changed. It takes precedence over the config file."""
        sql = """INSERT INTO resources VALUES (?, ?, ?, ?)
                 ON CONFLICT (resource_id) DO UPDATE SET body = excluded.body, deleted = excluded.deleted"""
        self._db.execute(sql, (str(resource_id), kind, body, deleted))

    def resources(self) -> list[tuple[str, str, bool]]:
        """Return (kind, JSON, deleted) of each saved resource, in the order of their first change."""
        rows = self._db.execute("SELECT kind, body, deleted FROM resources ORDER BY rowid")
        return [(kind, body, bool(deleted)) for kind, body, deleted in rows]

    # tokens

    def save_token(self, token_hash: str, expires_at: int) -> None:
        self._db.execute("DELETE FROM tokens WHERE expires_at < ?", (now(),))
        self._db.execute("INSERT INTO tokens VALUES (?, ?)", (token_hash, expires_at))

    def token_is_valid(self, token_hash: str) -> bool:
        sql = "SELECT 1 FROM tokens WHERE token_hash = ? AND expires_at > ?"
        return self._db.execute(sql, (token_hash, now())).fetchone() is not None

    def valid_tokens(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM tokens WHERE expires_at > ?", (now(),)).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _job(row: tuple[Any, ...]) -> Job:
    job_id, connection_id, job_type, status, *rest = row
    return Job(job_id, UUID(connection_id), JobType(job_type), JobStatus(status), *rest)


def _attempt(row: tuple[Any, ...]) -> Attempt:
    number, status, created_at, updated_at, ended_at, failures, streams = row
    stats = {name: StreamStats(**figures) for name, figures in json.loads(streams).items()}
    return Attempt(number, status, created_at, updated_at, ended_at, json.loads(failures), stats)

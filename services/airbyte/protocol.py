"""What the engine tells a worker process (one JSON line on stdin) and what it hears back (JSON lines on stdout)."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from pydantic import TypeAdapter

from services.airbyte.formats.model import Limits
from services.airbyte.formats.settings import Format


@dataclass(frozen=True)
class S3Access:
    """None leaves the choice to boto3's usual chain."""

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None


@dataclass(frozen=True)
class StreamTask:
    """One stream to load: the objects below `prefix` whose rest of the key fits one of `globs`.

    `format` says how to read them; without it their suffix does. `place` is the folder of the stream in the lake, or
    says where in Snowflake `table` is. With a `dedup_key` the newest row of each key is kept. Without `columns` they
    are inferred; of any column only those in `selected` (lower case) are loaded. `read` maps a key to (etag, version,
    date) of the newest version of it that was read; older states have no date. `targets` are the names of the files to
    remove, or to merge. `new_columns` says what becomes of columns that the stream lacks, unless a person has
    `approved` them.
    """

    name: str
    prefix: str
    globs: list[str]
    format: Format | None = None
    place: str = ""
    table: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    overwrite: bool = False
    dedup_key: list[str] = field(default_factory=list)
    selected: list[str] | None = None
    read: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)
    new_columns: Literal["add", "ignore", "stop"] = "add"
    approved: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SyncTask:
    """One attempt.

    With `prepare_only` just the place of each stream is made ready, with `clear` all its rows go, with `remove` those
    of the object that has this key, with `compact` its small files are merged, and with `discover` nothing is written
    and its columns are reported. With `vanish` every file that is new is gone when it is to be read: a fault.
    `like_airbyte` is the mock's setting. `snowflake` is the destination's configuration if it is not the lake.
    """

    job_id: int
    connection_id: str
    bucket: str
    work_dir: str
    memory_limit: str
    threads: int | None
    streams_at_once: int
    streams: list[StreamTask]
    s3: S3Access = field(default=S3Access(), repr=False)
    limits: Limits = field(default=Limits())
    snowflake: dict[str, Any] | None = field(default=None, repr=False)
    prepare_only: bool = False
    clear: bool = False
    discover: bool = False
    vanish: bool = False
    remove: str = ""
    compact: bool = False
    like_airbyte: bool = False

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "SyncTask":
        return _TASK.validate_python(json.loads(line))


_TASK = TypeAdapter(SyncTask)


@dataclass(frozen=True)
class Committed:
    """A file's rows are in the lake. `bytes` is the size of the source object; `skipped` rows of it are not there.

    `modified` is the object's date. Of a `partial` file only the rows before a bad one are there: it counts as unread.
    """

    stream: str
    key: str
    etag: str
    version: int
    generation: int
    rows: int
    bytes: int
    target: str
    skipped: int = 0
    modified: str = ""
    partial: bool = False
    type: Literal["committed"] = "committed"


@dataclass(frozen=True)
class Failed:
    """A stream stopped. `failure_type` is Airbyte's: config_error, system_error or transient_error."""

    stream: str
    failure_type: str
    message: str
    origin: str = "source"
    detail: str = ""
    type: Literal["failed"] = "failed"


@dataclass(frozen=True)
class Reading:
    """A stream is at this key, or waits after it."""

    stream: str
    key: str
    type: Literal["reading"] = "reading"


@dataclass(frozen=True)
class Ignored:
    """An object in a stream's place is not one of its files."""

    stream: str
    key: str
    etag: str
    reason: str
    type: Literal["ignored"] = "ignored"


@dataclass(frozen=True)
class Removed:
    """The rows of an object that a stream no longer has."""

    stream: str
    rows: int
    type: Literal["removed"] = "removed"


@dataclass(frozen=True)
class Compacted:
    """How many files with rows a stream had, and has."""

    stream: str
    before: int
    after: int
    type: Literal["compacted"] = "compacted"


@dataclass(frozen=True)
class Discovered:
    """The columns of a stream's files and their types."""

    stream: str
    columns: dict[str, str]
    type: Literal["discovered"] = "discovered"


@dataclass(frozen=True)
class Widened:
    """The type of a column with rows has become another one, because of the file at this key."""

    stream: str
    column: str
    before: str
    after: str
    key: str
    type: Literal["widened"] = "widened"


@dataclass(frozen=True)
class NewColumns:
    """The file at this key has columns that wait for a person's approval; it was not loaded."""

    stream: str
    names: list[str]
    key: str
    type: Literal["new_columns"] = "new_columns"


@dataclass(frozen=True)
class Done:
    type: Literal["done"] = "done"


Message = Committed | Compacted | Ignored | Removed | Failed | Reading | Discovered | Widened | NewColumns | Done
_TYPES: dict[str, type[Message]] = {each.type: each for each in get_args(Message)}


def encode(message: Message) -> bytes:
    return json.dumps(asdict(message)).encode() + b"\n"


def decode(line: bytes) -> Message:
    values = json.loads(line)
    return _TYPES[values["type"]](**values)

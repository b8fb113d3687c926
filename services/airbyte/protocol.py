"""Messages between the engine and a worker process: one JSON line with a task on stdin, JSON lines on stdout."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from pydantic import TypeAdapter

from services.airbyte.formats.model import Limits
from services.airbyte.formats.settings import Format


@dataclass(frozen=True)
class S3Access:
    """Access to S3. For each field that is None, boto3 uses its default."""

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None


@dataclass(frozen=True)
class StreamTask:
    """One stream to load: the objects below `prefix` whose key after the prefix matches one of `globs`.

    Attributes:
        format: how to read the files. By default, their suffix decides.
        place: the stream's folder in the lake, or the full name of `table` in Snowflake.
        columns: the declared columns. If there are none, they are inferred.
        dedup_key: columns of the key of which only the newest row is kept.
        selected: names of the columns to load, in lower case. None means all.
        read: key -> (etag, version, date) of the newest version that was read. Older states have no date.
        targets: names of the files to remove or to merge.
        new_columns: what to do with columns that the stream lacks, unless they are in `approved`.
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
    """One attempt of a sync, or another task for the same streams.

    Attributes:
        snowflake: the destination's configuration. None means the lake.
        prepare_only: only create the folders or tables.
        clear: remove all rows.
        discover: only report the columns of the streams.
        vanish: a fault that lets each new file disappear before it is read.
        remove: the key of an object whose rows are to be removed.
        compact: merge small files.
        like_airbyte: the mock's setting of this name.
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
    """A file's rows were committed.

    Attributes:
        bytes: the size of the source object.
        skipped: the number of rows that were skipped.
        modified: the object's modification date.
        partial: whether only the rows before a bad row were committed. Such a file counts as unread.
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
    """A stream failed. `failure_type` is Airbyte's: config_error, system_error or transient_error."""

    stream: str
    failure_type: str
    message: str
    origin: str = "source"
    detail: str = ""
    type: Literal["failed"] = "failed"


@dataclass(frozen=True)
class Reading:
    """A stream is reading this key, or is waiting for something afterwards. The engine takes it as a sign of life."""

    stream: str
    key: str
    type: Literal["reading"] = "reading"


@dataclass(frozen=True)
class Ignored:
    """An object matches a stream's globs but is not one of its files."""

    stream: str
    key: str
    etag: str
    reason: str
    type: Literal["ignored"] = "ignored"


@dataclass(frozen=True)
class Removed:
    """An object's rows were removed from a stream."""

    stream: str
    rows: int
    type: Literal["removed"] = "removed"


@dataclass(frozen=True)
class Compacted:
    """A stream's files were merged. `before` and `after` count its files with rows."""

    stream: str
    before: int
    after: int
    type: Literal["compacted"] = "compacted"


@dataclass(frozen=True)
class Discovered:
    """The columns of a stream and their types were discovered."""

    stream: str
    columns: dict[str, str]
    type: Literal["discovered"] = "discovered"


@dataclass(frozen=True)
class Widened:
    """The type of a column changed because of the file at this key."""

    stream: str
    column: str
    before: str
    after: str
    key: str
    type: Literal["widened"] = "widened"


@dataclass(frozen=True)
class NewColumns:
    """The file at this key was not loaded, because someone has to approve its new columns."""

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

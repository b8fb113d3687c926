"""The objects in Airbyte's API, with the fields that the platform uses.

The wire format is Airbyte's own (airbyte-platform, `airbyte-api/server-api/src/main/openapi/api.yaml`).
"""

from collections.abc import Container
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from wcmatch.glob import GLOBSTAR, SPLIT, globmatch

ENDED = frozenset({"succeeded", "failed", "cancelled"})


class _Wire(BaseModel):
    model_config = ConfigDict(populate_by_name=True)


class _Stream(_Wire):
    name: str
    sync_mode: str | None = Field(None, alias="syncMode")
    primary_key: list[list[str]] = Field([], alias="primaryKey")


class _Configurations(_Wire):
    streams: list[_Stream] = []


class _Properties(_Wire):
    """A stream as its source describes it. Each column of the key is a path."""

    name: str = Field(alias="streamName")
    primary_key: list[list[str]] = Field([], alias="sourceDefinedPrimaryKey")


class Discovered(_Wire):
    """The streams of a source, as it describes them."""

    streams: list[_Properties]


class _FileStream(_Wire):
    name: str
    globs: list[str] = []

    @property
    def patterns(self) -> list[str]:
        """The stream's globs. The mock's default is a folder with the stream's name."""
        return self.globs or [f"{self.name}/**"]


class _S3Configuration(_Wire):
    bucket: str = ""
    prefix: str = ""
    """Prefix to which the globs are relative. Only the mock has it; source-s3 does not."""
    streams: list[_FileStream] = []


class Source(_Wire):
    """A source. Only an S3 source tells which files it reads."""

    source_type: str = Field("", alias="sourceType")
    configuration: dict[str, Any] = {}

    def reads(self, bucket: str, key: str, streams: Container[str]) -> bool:
        """Return whether an object matches one of these streams' globs, by source-s3's rules.

        See airbyte-cdk, `file_based_stream_reader.py`, `filter_files_by_globs_and_start_date`.
        """
        if self.source_type != "s3":
            return False
        own = _S3Configuration.model_validate(self.configuration)
        name = key.removeprefix(own.prefix)
        globs = [glob for each in own.streams if each.name in streams for glob in each.patterns]
        return own.bucket == bucket and key.startswith(own.prefix) and globmatch(name, globs, flags=GLOBSTAR | SPLIT)


class Connection(_Wire):
    """A connection."""

    connection_id: str = Field(alias="connectionId")
    source_id: str = Field("", alias="sourceId")
    name: str
    status: str
    prefix: str | None = None
    configurations: _Configurations = _Configurations()

    @property
    def streams(self) -> list[str]:
        """The names of the streams to sync."""
        return [stream.name for stream in self.configurations.streams]

    @property
    def deduplicated(self) -> list[str]:
        """The names of the streams that keep only the newest row of each key."""
        return [each.name for each in self.configurations.streams if "dedup" in (each.sync_mode or "")]


class Job(_Wire):
    """A job as Airbyte reports it. Airbyte omits fields whose values it does not know yet."""

    job_id: int = Field(alias="jobId")
    status: str
    connection_id: str = Field(alias="connectionId")
    job_type: str = Field("sync", alias="jobType")
    rows_synced: int = Field(0, alias="rowsSynced")
    bytes_synced: int = Field(0, alias="bytesSynced")
    duration: str = ""
    started: AwareDatetime | None = Field(None, alias="startTime")

    @property
    def ended(self) -> bool:
        """Whether the status is final. An unknown status is not final, since Airbyte sometimes adds new ones."""
        return self.status in ENDED


class StreamStats(_Wire):
    """What a job moved in one stream.

    Attributes:
        name: the stream's name.
        rows: number of rows written.
        bytes: size in bytes.
        read: number of rows in the stream's files.
        rejected: number of those rows that the source or the destination left out.
    """

    name: str
    rows: int
    bytes: int
    read: int = 0
    rejected: int = 0


class SyncResult(BaseModel):
    """What one sync moved.

    Attributes:
        connection_id: id of the connection.
        connection_name: name of the connection.
        job_id: id of the job.
        adopted: whether the job was running already.
        rows: number of rows written.
        bytes: size in bytes.
        duration: the job's duration, in ISO 8601.
        streams: the same by stream, if Airbyte reports it.
        ignored: keys of objects that the source does not read, with the reasons.
        prefix: prefix of the names of the streams' tables.
        deduplicated: streams that keep only the newest row of each key.
        attempts: number of attempts. After more than one, rows may have been read and written more than once.
        started: when the job started.
    """

    connection_id: str
    connection_name: str
    job_id: int
    adopted: bool
    rows: int
    bytes: int
    duration: str
    streams: list[StreamStats] = []
    ignored: dict[str, str] = {}
    prefix: str = ""
    deduplicated: list[str] = []
    attempts: int = 1
    started: datetime | None = None


WARNING = "WARN "
"""Prefix of a line in a job's log that a person should see, such as a change of a column's type."""


class JobReport(BaseModel):
    """Details of a job from Airbyte's Configuration API; empty if the server lacks that API, like Airbyte Cloud."""

    reason: str = ""
    streams: list[StreamStats] = []
    warnings: list[str] = []
    ignored: dict[str, str] = {}
    attempts: int = 1


class _Failure(_Wire):
    external_message: str | None = Field(None, alias="externalMessage")
    internal_message: str | None = Field(None, alias="internalMessage")


class _FailureSummary(_Wire):
    failures: list[_Failure] = []


class _Stats(_Wire):
    records_emitted: int | None = Field(None, alias="recordsEmitted")
    records_committed: int | None = Field(None, alias="recordsCommitted")
    records_rejected: int | None = Field(None, alias="recordsRejected")
    bytes_committed: int | None = Field(None, alias="bytesCommitted")
    bytes_emitted: int | None = Field(None, alias="bytesEmitted")


class _AttemptStream(_Wire):
    name: str = Field(alias="streamName")
    stats: _Stats = _Stats()


class _Attempt(_Wire):
    failure_summary: _FailureSummary | None = Field(None, alias="failureSummary")
    streams: list[_AttemptStream] | None = Field(None, alias="streamStats")


class _Logs(_Wire):
    lines: list[str] | None = Field(None, alias="logLines")


class _AttemptInfo(_Wire):
    attempt: _Attempt
    logs: _Logs | None = None


class _IgnoredFile(_Wire):
    key: str
    reason: str


class JobDetails(_Wire):
    """Only the mock sends `ignoredFiles`."""

    attempts: list[_AttemptInfo]
    ignored: list[_IgnoredFile] = Field([], alias="ignoredFiles")


class Token(_Wire):
    access_token: str
    expires_in: float = 180.0


def report(details: JobDetails) -> JobReport:
    infos = details.attempts
    attempts = [each.attempt for each in infos]
    lines = [line for each in infos if each.logs for line in each.logs.lines or []]
    summaries = [each.failure_summary for each in attempts[-1:] if each.failure_summary]
    failures = [failure for summary in summaries for failure in summary.failures]
    messages = dict.fromkeys(each.external_message or each.internal_message for each in failures)
    streams: dict[str, StreamStats] = {}
    for stream in (stream for each in attempts for stream in each.streams or []):
        moved = streams.setdefault(stream.name, StreamStats(name=stream.name, rows=0, bytes=0))
        moved.rows += stream.stats.records_committed or 0
        committed, rejected = stream.stats.records_committed or 0, stream.stats.records_rejected or 0
        moved.read += committed + rejected if stream.stats.records_emitted is None else stream.stats.records_emitted
        moved.rejected += stream.stats.records_rejected or 0
        moved.bytes += stream.stats.bytes_committed or stream.stats.bytes_emitted or 0
    return JobReport(
        reason="; ".join(filter(None, messages)),
        streams=list(streams.values()),
        warnings=[line.removeprefix(WARNING) for line in dict.fromkeys(lines) if line.startswith(WARNING)],
        ignored={each.key: each.reason for each in details.ignored},
        attempts=len(infos),
    )

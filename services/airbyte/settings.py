"""Settings of the mock: environment variables that begin with MOCK_AIRBYTE_, overridden by command-line flags."""

from pathlib import Path

from pydantic import ByteSize, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.airbyte.formats.model import Limits
from services.content import BUCKET, CONNECTIONS, PREFIX

LIMITS = Limits()


class Settings(BaseSettings):
    """Where the mock listens, what it reads and where it writes. Sizes are DuckDB's ("512MB"), times are seconds."""

    model_config = SettingsConfigDict(env_prefix="MOCK_AIRBYTE_", env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = 8006
    config: Path = Field(default=CONNECTIONS, description="YAML file of workspaces, sources, destinations, connections")
    destination: Path | None = Field(
        default=None, description="JSON file of the destination's configuration that replaces every lake of the config"
    )
    lake_dir: Path = Field(default=Path("lake"), description="folder that destinations write Parquet into")
    state_dir: Path = Field(default=Path("airbyte-state"), description="folder of jobs, tokens and read state")
    public_url: str | None = Field(
        default=None, description="base of the links in lists; default: what the caller used"
    )

    s3_endpoint_url: str | None = Field(default=None, description="S3 endpoint; default: boto3's own choice")
    s3_region: str | None = None
    s3_access_key_id: SecretStr | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_session_token: SecretStr | None = Field(default=None, description="where the access key is a temporary one")
    s3_bucket: str | None = Field(
        default=None, description=f"bucket of the sources that the file gives {BUCKET} and {PREFIX}"
    )
    s3_prefix: str = Field(default="", description="prefix of the same sources, used with s3_bucket")

    client_id: str | None = Field(default=None, description="with client_secret: every call needs a token")
    client_secret: SecretStr | None = None
    token_lifetime: int = Field(default=900, gt=0)

    max_attempts: int = Field(default=3, ge=1, description="attempts a job gets when the failure may be transient")
    retry_delay: float = Field(
        default=1.0, ge=0, description="seconds before the second attempt; doubled before each further one"
    )
    stall_timeout: float = Field(
        default=600.0, gt=0, description="seconds without progress after which a sync's attempt is ended"
    )
    max_running_jobs: int = Field(default=2, ge=1, description="jobs that run at once; each has memory_limit to itself")
    streams_at_once: int = Field(default=4, ge=1, description="streams of one sync that are loaded side by side")
    memory_limit: str = Field(default="512MB", description="DuckDB's memory in one sync")
    threads: int | None = Field(default=None, ge=1, description="DuckDB's threads in one sync; default: one a core")

    max_file_size: ByteSize = Field(
        default=ByteSize(LIMITS.file_bytes), gt=0, description="size of a file, decompressed; a larger one is refused"
    )
    max_gzip_ratio: int = Field(
        default=LIMITS.gzip_ratio,
        ge=1,
        description="times its size that a compressed file of more than 100 MB, decompressed, may grow to",
    )
    max_line_size: ByteSize = Field(
        default=ByteSize(LIMITS.line_bytes), ge=1000, description="size of a row of a CSV or JSON Lines file"
    )
    max_header_size: ByteSize = Field(
        default=ByteSize(LIMITS.header_bytes), gt=0, description="size of a CSV file's header"
    )
    max_columns: int = Field(default=LIMITS.columns, ge=1, description="columns of a file")

    like_airbyte: bool = Field(
        default=False,
        description="types, files read again and rows of bad files as with Airbyte's source-s3 and its destinations",
    )
    strict: bool = Field(default=False, description="answer unknown ids as the real server's source does")
    faults: bool = Field(default=False, description="serve /_mock: faults and state")
    fault_set: str | None = Field(default=None, description="one of the file's faultSets, in force from the start")

    @model_validator(mode="after")
    def _credentials_come_in_pairs(self) -> "Settings":
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("set both MOCK_AIRBYTE_CLIENT_ID and MOCK_AIRBYTE_CLIENT_SECRET, or neither")
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError("set both MOCK_AIRBYTE_S3_ACCESS_KEY_ID and MOCK_AIRBYTE_S3_SECRET_ACCESS_KEY, or neither")
        return self

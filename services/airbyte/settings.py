"""Settings of the mock: environment variables that begin with MOCK_AIRBYTE_. Command-line flags override them."""

from pathlib import Path

from pydantic import ByteSize, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services import ports
from services.airbyte.formats.model import Limits
from services.content import BUCKET, CONNECTIONS, PREFIX

LIMITS = Limits()


class Settings(BaseSettings):
    """Where the mock listens, what it reads and where it writes. Sizes are DuckDB's ("512MB"), times are seconds."""

    model_config = SettingsConfigDict(env_prefix="MOCK_AIRBYTE_", env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = ports.AIRBYTE
    config: Path = Field(default=CONNECTIONS, description="YAML file of workspaces, sources, destinations, connections")
    destination: Path | None = Field(
        default=None, description="JSON file with a destination's configuration that replaces each lake in the config"
    )
    lake_dir: Path = Field(default=Path("lake"), description="folder for the Parquet files that destinations write")
    state_dir: Path = Field(default=Path("airbyte-state"), description="folder for jobs, tokens and the state of syncs")
    public_url: str | None = Field(
        default=None, description="base URL of the links in lists; default: the URL of the request"
    )

    s3_endpoint_url: str | None = Field(default=None, description="S3 endpoint; default: boto3's")
    s3_region: str | None = None
    s3_access_key_id: SecretStr | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_session_token: SecretStr | None = Field(default=None, description="for a temporary access key")
    s3_bucket: str | None = Field(
        default=None, description=f"replaces the bucket of sources that have {BUCKET} and {PREFIX} in the config"
    )
    s3_prefix: str = Field(default="", description="prefix of the same sources; used only with s3_bucket")

    client_id: str | None = Field(default=None, description="with client_secret, makes every call need a token")
    client_secret: SecretStr | None = None
    token_lifetime: int = Field(default=900, gt=0)

    max_attempts: int = Field(default=3, ge=1, description="attempts of a job if its failures are transient")
    retry_delay: float = Field(
        default=1.0, ge=0, description="seconds before the second attempt; doubles with each further attempt"
    )
    stall_timeout: float = Field(
        default=600.0, gt=0, description="seconds without progress after which an attempt is stopped"
    )
    max_running_jobs: int = Field(default=2, ge=1, description="jobs that run at once; memory_limit applies to each")
    streams_at_once: int = Field(default=4, ge=1, description="streams of one sync that are loaded in parallel")
    memory_limit: str = Field(default="512MB", description="DuckDB's memory for one sync")
    threads: int | None = Field(default=None, ge=1, description="DuckDB's threads for one sync; default: one per core")

    max_file_size: ByteSize = Field(
        default=ByteSize(LIMITS.file_bytes), gt=0, description="largest decompressed size of a file"
    )
    max_gzip_ratio: int = Field(
        default=LIMITS.gzip_ratio,
        ge=1,
        description="largest compression ratio of a file that has more than 100 MB when decompressed",
    )
    max_line_size: ByteSize = Field(
        default=ByteSize(LIMITS.line_bytes), ge=1000, description="largest size of a row in a CSV or JSON Lines file"
    )
    max_header_size: ByteSize = Field(
        default=ByteSize(LIMITS.header_bytes), gt=0, description="largest size of a CSV file's header"
    )
    max_columns: int = Field(default=LIMITS.columns, ge=1, description="largest number of columns in a file")

    like_airbyte: bool = Field(
        default=False,
        description="handle types, changed files and bad files as Airbyte's source-s3 and destinations do",
    )
    strict: bool = Field(default=False, description="answer unknown ids as Airbyte's server does")
    faults: bool = Field(default=False, description="serve the endpoints below /_mock that inject faults")
    fault_set: str | None = Field(default=None, description="one of the file's faultSets, active from the start")

    @model_validator(mode="after")
    def _credentials_come_in_pairs(self) -> "Settings":
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("set both MOCK_AIRBYTE_CLIENT_ID and MOCK_AIRBYTE_CLIENT_SECRET, or neither")
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError("set both MOCK_AIRBYTE_S3_ACCESS_KEY_ID and MOCK_AIRBYTE_S3_SECRET_ACCESS_KEY, or neither")
        return self

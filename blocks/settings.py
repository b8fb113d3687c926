"""The only reader of the environment: every variable, its default and its meaning.

A relative path counts from the folder in which the process was started.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from blocks.errors import ConfigurationError
from blocks.host import direct

AIRBYTE_CONNECTION_ID_UNSET = "your-airbyte-connection-uuid"


class Settings(BaseSettings):
    """Every variable that the platform reads; a field's name in capitals is the variable's.

    An empty one counts as unset; only S3_PREFIX means something when empty, the bucket's root.

    Raises:
        ConfigurationError: a value has the wrong form; it names the variable and what is expected.
    """

    model_config = SettingsConfigDict(alias_generator=str.upper, populate_by_name=True)

    platform_profile: str = Field("", description="profile whose container this is, for the commands in messages")
    platform_version: str = Field("", description="tag of the image that runs; empty means a clone's code")
    platform_commit: str = Field("", description="commit that the image was built from")

    airbyte_server_url: str = Field("http://localhost:8006/api/public/v1", description="Airbyte API base URL")
    airbyte_connection_id: str = Field(AIRBYTE_CONNECTION_ID_UNSET, description="connection to sync")
    airbyte_connection_ids: str = Field("", description="further connections to sync, separated by commas")
    airbyte_client_id: str = Field("", description="client id, where the server wants credentials")
    airbyte_client_secret: SecretStr = Field(SecretStr(""), description="client secret that goes with the id")
    airbyte_sync_timeout_seconds: float = Field(3600, gt=0, description="a sync that takes longer is cancelled")

    dbt_project_dir: Path = Field(Path("./dbt_project"), description="folder of dbt_project.yml and profiles.yml")
    dbt_packages_install_path: Path = Field(
        Path("dbt_packages"), description="folder of dbt's packages; a relative one is in the project's"
    )
    dbt_target: str = Field("dev", description="target of profiles.yml: dev (DuckDB) or snowflake")
    dbt_executable: str = Field(
        "", description="dbt to run as a child process; empty means inside the process of the flow"
    )
    dbt_timeout_seconds: float = Field(3600, gt=0, description="a dbt command that takes longer is stopped")
    warehouse_wait_seconds: float = Field(
        3600, gt=0, description="longest wait for another command that uses the warehouse"
    )

    s3_bucket: str = Field("my-data-lake-landing", description="landing bucket")
    s3_prefix: str = Field("inbound/", description="landing place; the stream is the folder below it")
    s3_endpoint_url: str = Field("", description="S3 endpoint; empty means AWS")

    aws_access_key_id: str = Field("", description="access key; empty means AWS's usual chain, such as a role")
    aws_secret_access_key: SecretStr = Field(SecretStr(""), description="secret of the access key")
    aws_session_token: SecretStr = Field(SecretStr(""), description="where the access key is a temporary one")
    aws_default_region: str = Field("", description="region; empty means AWS's usual chain")

    automatic_runs: bool = Field(True, description="whether the sensor and the schedules start runs")

    prefect_namespace: str = Field("", description="prefix of all names on a Prefect server that others use too")
    prefect_owner: str = Field("", description="who registers things there; empty means this machine and folder")

    sensor_queue_url: str = Field("", description="SQS queue of the landing bucket's events; empty means polling")

    lake_dir: Path = Field(Path("./data/lake"), description="raw Parquet files, one folder a stream")
    warehouse_path: Path = Field(Path("./data/warehouse.duckdb"), description="DuckDB file that dbt writes")
    published_path: Path = Field(
        Path("./data/published/warehouse.duckdb"), description="tested copy of the warehouse, for readers"
    )
    console_url: str = Field("", description="address of the page, for links on runs; empty means no links")
    docs_dir: Path | None = Field(
        None, description="folder for dbt's docs and column lineage, after each publication; empty means none"
    )
    freshness_threshold_hours: int = Field(25, gt=0, description="age in hours from which a source is stale")

    alert_webhook_url: SecretStr = Field(SecretStr(""), description="webhook that takes alerts; empty means none")
    alert_format: Literal["", "slack", "teams", "discord", "json"] = Field(
        "", description="format of alerts; empty means by the webhook's host, else JSON"
    )
    alert_late_minutes: float = Field(5.0, gt=0, description="a run that starts this many minutes late is an incident")
    alert_disk_gb: float = Field(2.0, ge=0, description="free disk space in GB below which there is an incident")
    alert_volume_percent: float = Field(
        50.0, ge=0, description="an incident below this share of a stream's usual rows; 0 turns it off"
    )
    alert_secret_days: float = Field(14.0, ge=0, description="how many days before its end a secret is an incident")
    secrets_expire: str = Field("", description="end dates of secrets, as NAME:2027-01-31,NAME:2027-06-30")
    alerts_dir: Path = Field(Path("./data/alerts"), description="open incidents, and what the local receiver took")
    heartbeat_url: SecretStr = Field(SecretStr(""), description="URL called after each good run; empty means none")

    snowflake_account: str = Field("", description="account identifier, e.g. myorg-myaccount")
    snowflake_user: str = Field("", description="user that the pipelines act as")
    snowflake_password: SecretStr = Field(SecretStr(""), description="password; or use a key pair or OAuth")
    snowflake_private_key: SecretStr = Field(SecretStr(""), description="private key, PEM or base64 DER")
    snowflake_private_key_path: str = Field("", description="file of the private key, PEM")
    snowflake_private_key_passphrase: SecretStr = Field(SecretStr(""), description="passphrase of the private key")
    snowflake_oauth_token: SecretStr = Field(SecretStr(""), description="OAuth access token, instead of a password")
    snowflake_database: str = Field("", description="database that holds raw and the marts")
    snowflake_schema: str = Field("", description="schema that dbt builds in")
    snowflake_warehouse: str = Field("", description="virtual warehouse that runs the queries")
    snowflake_role: str = Field("", description="role that the pipelines act in")
    snowflake_host: str = Field("", description="only where it is not derived from the account, e.g. an emulator")
    snowflake_port: int | None = Field(None, description="only together with SNOWFLAKE_HOST")
    snowflake_protocol: str = Field("https", description="http only for an emulator")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(" ".join(map(_wrong, error.errors()))) from None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value != "" or name.upper() == "S3_PREFIX"}


def _wrong(error: Any) -> str:
    name = str(error["loc"][0]).upper()
    field = Settings.model_fields[name.lower()]
    return (
        f"{name} is {error['input']!r}, which cannot be used ({field.description}): {error['msg']}. "
        "Correct it, or unset it for the default."
    )


class PrefectServer(BaseSettings):
    """How Prefect's server is reached without Prefect's own client, which takes 100 MB of memory."""

    model_config = SettingsConfigDict(env_prefix="PREFECT_", env_ignore_empty=True)

    api_url: str = ""
    api_auth_string: SecretStr = SecretStr("")
    api_key: SecretStr = SecretStr("")
    ui_url: str = ""
    port: str = ""


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the time of a block of code: dbt reads its connection from the environment alone.

    They are the process's own, so only one thread at a time may be inside.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def namespace() -> str:
    """Return PREFECT_NAMESPACE, for what is named while a module is imported: no other setting can fail it."""
    return os.environ.get("PREFECT_NAMESPACE", "")


def make(verb: str) -> str:
    """Return a command of make as a person types it for this platform, e.g. `make up PROFILE=production`."""
    profile = os.environ.get("PLATFORM_PROFILE", "")
    return f"make {verb} PROFILE={profile}" if profile not in ("", "local") else f"make {verb}"


def start_again() -> str:
    """Return the command that starts what does not run: in Docker `make up`, else `make dev`."""
    return make("up") if "PLATFORM_PROFILE" in os.environ else "make dev, after you have ended it"


def code_version() -> tuple[str, str]:
    """Return the version and the commit of the image whose code runs, PLATFORM_VERSION and PLATFORM_COMMIT.

    Each is "" where a clone's code runs. No other setting can fail it.
    """
    return os.environ.get("PLATFORM_VERSION", ""), os.environ.get("PLATFORM_COMMIT", "")


def console_url() -> str:
    """Return CONSOLE_URL without a slash at its end; empty where its port is 0, any free one."""
    url = os.environ.get("CONSOLE_URL", "").rstrip("/")
    return "" if url.endswith(":0") else url


def docs_dir() -> Path | None:
    """Return DOCS_DIR. No other setting can fail it."""
    return Path(found) if (found := os.environ.get("DOCS_DIR", "")) else None


LIBRARIES = "AWS|DBT|DUCKDB|FLASK|MOCK_AIRBYTE|MOTHERDUCK|MOTO|OTEL|PREFECT|PYDANTIC|SNOWFLAKE|SQLALCHEMY|UVICORN"
OTHERS = "PYTHON[A-Z0-9_]*|BOTO_CONFIG|FORWARDED_ALLOW_IPS|NETRC|REQUEST_METHOD|SSLKEYLOGFILE|WEB_CONCURRENCY"


def elsewhere() -> str:
    """The names, in capitals, of what would lead a process away from the embedded platform: a regex of Python and awk.

    A person's own Prefect profile, AWS profile, Airbyte or Snowflake account has no say there, nor has what steers
    Python and the libraries that the platform is made of.
    """
    ours = "|".join(name.upper() for name in Settings.model_fields)
    return f"^({ours}|({LIBRARIES})_[A-Z0-9_]*|{OTHERS})$"


def inherited(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process of the embedded platform: this one's, without what would lead it elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match(elsewhere(), name.upper()) and not name.lower().endswith("_proxy") and not _missing(name, value)
    }
    # Where the platform's own folders cannot be written, this is the one place for bytecode.
    bytecode = {"PYTHONPYCACHEPREFIX": sys.pycache_prefix} if sys.pycache_prefix else {}
    return {**kept, **bytecode, **direct(os.environ), **variables}


def seal(variables: Mapping[str, str]) -> None:
    """Give this process the environment that `inherited` gives to others."""
    sealed = inherited(variables)
    os.environ.clear()
    os.environ.update(sealed)


def _missing(name: str, value: str) -> bool:
    """Whether a variable names certificates that are not there: httpx then makes no client, not even for plain HTTP."""
    return name in ("SSL_CERT_FILE", "SSL_CERT_DIR") and not Path(value).exists()

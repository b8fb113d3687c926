"""Every environment variable that the platform reads, with its default and meaning.

No other module reads settings from the environment. A relative path starts at the process's working directory.
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
from blocks.host import proxy_variables

AIRBYTE_CONNECTION_ID_UNSET = "your-airbyte-connection-uuid"


class Settings(BaseSettings):
    """Every variable that the platform reads. The variable's name is the field's name in capitals.

    An empty variable counts as unset. Only an empty S3_PREFIX has a meaning: the root of the bucket.

    Raises:
        ConfigurationError: a value has the wrong form. The text names the variable and says what is expected.
    """

    model_config = SettingsConfigDict(alias_generator=str.upper, populate_by_name=True)

    platform_profile: str = Field("", description="profile of this container, for the commands in messages")
    platform_version: str = Field("", description="tag of the running image; empty if the code runs from a clone")
    platform_commit: str = Field("", description="commit that the image was built from")

    airbyte_server_url: str = Field("http://localhost:8006/api/public/v1", description="Airbyte API base URL")
    airbyte_connection_id: str = Field(AIRBYTE_CONNECTION_ID_UNSET, description="connection to sync")
    airbyte_connection_ids: str = Field("", description="further connections to sync, separated by commas")
    airbyte_client_id: str = Field("", description="client id, if the server requires credentials")
    airbyte_client_secret: SecretStr = Field(SecretStr(""), description="client secret for the client id")
    airbyte_sync_timeout_seconds: float = Field(3600, gt=0, description="seconds after which a sync is cancelled")

    dbt_project_dir: Path = Field(Path("./dbt_project"), description="folder with dbt_project.yml and profiles.yml")
    dbt_packages_install_path: Path = Field(
        Path("dbt_packages"), description="folder for dbt's packages; relative to the project"
    )
    dbt_target: str = Field("dev", description="target of profiles.yml: dev (DuckDB) or snowflake")
    dbt_executable: str = Field(
        "", description="path of a dbt to run as a child process; empty runs dbt in the flow's process"
    )
    dbt_timeout_seconds: float = Field(3600, gt=0, description="seconds after which a dbt command is stopped")
    warehouse_wait_seconds: float = Field(
        3600, gt=0, description="seconds to wait for another command that uses the warehouse"
    )

    s3_bucket: str = Field("my-data-lake-landing", description="landing bucket")
    s3_prefix: str = Field("inbound/", description="prefix of landed files; the folder below it is the stream")
    s3_endpoint_url: str = Field("", description="S3 endpoint; empty means AWS")

    aws_access_key_id: str = Field(
        "", description="access key; empty means AWS's default credential chain, such as a role"
    )
    aws_secret_access_key: SecretStr = Field(SecretStr(""), description="secret of the access key")
    aws_session_token: SecretStr = Field(SecretStr(""), description="session token of a temporary access key")
    aws_default_region: str = Field("", description="region; empty means AWS's default configuration")

    automatic_runs: bool = Field(True, description="whether the sensor and the schedules start runs")

    prefect_namespace: str = Field("", description="prefix of all names on a shared Prefect server")
    prefect_owner: str = Field(
        "", description="owner recorded on a shared Prefect server; empty means this machine and folder"
    )

    sensor_queue_url: str = Field("", description="SQS queue with the landing bucket's events; empty means polling")

    lake_dir: Path = Field(Path("./data/lake"), description="raw Parquet files, one folder for each stream")
    warehouse_path: Path = Field(Path("./data/warehouse.duckdb"), description="DuckDB file that dbt writes")
    published_path: Path = Field(
        Path("./data/published/warehouse.duckdb"), description="tested copy of the warehouse, for readers"
    )
    console_url: str = Field("", description="address of the page, for links on runs; empty means no links")
    docs_dir: Path | None = Field(
        None, description="folder for dbt's docs and column lineage, written after each publication; empty means none"
    )
    freshness_threshold_hours: int = Field(25, gt=0, description="age in hours from which a source is stale")

    alert_webhook_url: SecretStr = Field(SecretStr(""), description="webhook that receives alerts; empty means none")
    alert_format: Literal["", "slack", "teams", "discord", "json"] = Field(
        "", description="format of alerts; empty chooses it by the webhook's host, or JSON"
    )
    alert_late_minutes: float = Field(5.0, gt=0, description="a run that starts this many minutes late is an incident")
    alert_disk_gb: float = Field(2.0, ge=0, description="free disk space in GB below which there is an incident")
    alert_volume_percent: float = Field(
        50.0, ge=0, description="percentage of a stream's usual rows below which there is an incident; 0 turns it off"
    )
    alert_secret_days: float = Field(
        14.0, ge=0, description="a secret that expires within this many days is an incident"
    )
    secrets_expire: str = Field("", description="expiry dates of secrets, as NAME:2027-01-31,NAME:2027-06-30")
    alerts_dir: Path = Field(
        Path("./data/alerts"), description="open incidents, and the alerts that the local receiver got"
    )
    heartbeat_url: SecretStr = Field(
        SecretStr(""), description="URL called after each successful run; empty means none"
    )

    snowflake_account: str = Field("", description="account identifier, e.g. myorg-myaccount")
    snowflake_user: str = Field("", description="user that the pipelines log in as")
    snowflake_password: SecretStr = Field(SecretStr(""), description="password; or use a key pair or OAuth")
    snowflake_private_key: SecretStr = Field(SecretStr(""), description="private key, PEM or base64 DER")
    snowflake_private_key_path: str = Field("", description="path of the private key's PEM file")
    snowflake_private_key_passphrase: SecretStr = Field(SecretStr(""), description="passphrase of the private key")
    snowflake_oauth_token: SecretStr = Field(SecretStr(""), description="OAuth access token, instead of a password")
    snowflake_database: str = Field("", description="database that holds raw and the marts")
    snowflake_schema: str = Field("", description="schema that dbt builds in")
    snowflake_warehouse: str = Field("", description="virtual warehouse that runs the queries")
    snowflake_role: str = Field("", description="role that the pipelines use")
    snowflake_host: str = Field("", description="host, if it does not follow from the account, e.g. an emulator")
    snowflake_port: int | None = Field(None, description="port; only together with SNOWFLAKE_HOST")
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
        f"{name} is {error['input']!r}, which is not valid ({field.description}): {error['msg']}. "
        "Correct it, or unset it to use the default."
    )


class PrefectServer(BaseSettings):
    """How to reach Prefect's server without Prefect's client, which takes 100 MB of memory."""

    model_config = SettingsConfigDict(env_prefix="PREFECT_", env_ignore_empty=True)

    api_url: str = ""
    api_auth_string: SecretStr = SecretStr("")
    api_key: SecretStr = SecretStr("")
    ui_url: str = ""
    port: str = ""


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within a `with` block. dbt reads its connection only from the environment.

    The variables apply to the whole process, so only one thread at a time may be inside the block.
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
    """Return PREFECT_NAMESPACE, for names that are needed at import. It works even if another setting is invalid."""
    return os.environ.get("PREFECT_NAMESPACE", "")


def make(verb: str, local: bool = False) -> str:
    """Return a make command as a person types it for this platform, e.g. `make up PROFILE=production`.

    Most commands use the profile `local` by default. With `local`, it is named like any other.
    """
    profile = os.environ.get("PLATFORM_PROFILE", "")
    is_named = profile and (local or profile != "local")
    return f"make {verb} PROFILE={profile}" if is_named else f"make {verb}"


def start_again() -> str:
    """Return the command that restarts the platform: `make up` in Docker, otherwise `make dev`."""
    return make("up") if "PLATFORM_PROFILE" in os.environ else "make dev, after you have stopped it"


def code_version() -> tuple[str, str]:
    """Return PLATFORM_VERSION and PLATFORM_COMMIT: the version and the commit of the running image.

    Both are "" if the code runs from a clone. It works even if another setting is invalid.
    """
    return os.environ.get("PLATFORM_VERSION", ""), os.environ.get("PLATFORM_COMMIT", "")


def console_url() -> str:
    """Return CONSOLE_URL without a trailing slash; "" if its port is 0, which means any free port."""
    url = os.environ.get("CONSOLE_URL", "").rstrip("/")
    return "" if url.endswith(":0") else url


def docs_dir() -> Path | None:
    """Return DOCS_DIR. It works even if another setting is invalid."""
    return Path(found) if (found := os.environ.get("DOCS_DIR", "")) else None


LIBRARY_PREFIXES = (
    "AWS|DBT|DUCKDB|FLASK|MOCK_AIRBYTE|MOTHERDUCK|MOTO|OTEL|PREFECT|PYDANTIC|SNOWFLAKE|SQLALCHEMY|UVICORN"
)
OTHER_VARIABLES = "PYTHON[A-Z0-9_]*|BOTO_CONFIG|FORWARDED_ALLOW_IPS|NETRC|REQUEST_METHOD|SSLKEYLOGFILE|WEB_CONCURRENCY"


def foreign_variables() -> str:
    """Return a regex, for Python and awk, of the variables that could point a process away from the embedded platform.

    It matches names in capitals: the platform's settings, and variables that configure Python or a library. So a
    person's own Prefect or AWS profile, Airbyte server or Snowflake account has no effect on the embedded platform.
    """
    settings = "|".join(name.upper() for name in Settings.model_fields)
    return f"^({settings}|({LIBRARY_PREFIXES})_[A-Z0-9_]*|{OTHER_VARIABLES})$"


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a process of the embedded platform: this process's, without foreign variables."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match(foreign_variables(), name.upper())
        and not name.lower().endswith("_proxy")
        and not _missing(name, value)
    }
    # If the platform's own folders are read-only, bytecode can only go there.
    bytecode = {"PYTHONPYCACHEPREFIX": sys.pycache_prefix} if sys.pycache_prefix else {}
    return {**kept, **bytecode, **proxy_variables(os.environ), **variables}


def replace_environment(variables: Mapping[str, str]) -> None:
    """Replace this process's environment with the one that `child_environment` returns."""
    replacement = child_environment(variables)
    os.environ.clear()
    os.environ.update(replacement)


def _missing(name: str, value: str) -> bool:
    """Return whether a variable names missing certificates: httpx then cannot create a client, even for plain HTTP."""
    return name in ("SSL_CERT_FILE", "SSL_CERT_DIR") and not Path(value).exists()

"""Prefect blocks for the external systems: their settings, and the clients for them."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from prefect.blocks.core import Block
from prefect.runtime import flow_run
from pydantic import Field, SecretStr, field_validator

from blocks.airbyte.client import AirbyteClient
from blocks.dbt.child import Child
from blocks.dbt.engine import Engine
from blocks.dbt.in_process import InProcess
from blocks.errors import ConfigurationError
from blocks.host import plain_path
from blocks.landing import AwsAccess, s3_client
from blocks.s3_events import sqs_client
from blocks.settings import AIRBYTE_CONNECTION_ID_UNSET, Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from snowflake.connector import SnowflakeConnection as SnowflakeSession

NONE = SecretStr("")
System = TypeVar("System", bound=Block)


class S3Landing(Block):
    """The bucket in which files land, and the queue with its events."""

    _block_type_name: ClassVar[str] = "S3 Landing"
    _block_type_slug: ClassVar[str] = "s3-landing"
    _description: ClassVar[str] = "The S3 bucket in which files land, and who may read it."

    bucket: str = Field(description="Name of the bucket.")
    prefix: str = Field(description="Prefix of landed files, e.g. inbound/; the folder below it is the stream.")
    endpoint_url: str = Field("", description="S3 endpoint; empty means AWS.")
    queue_url: str = Field("", description="SQS queue with the bucket's events; empty means that the sensor polls.")
    region: str = Field("", description="Region; empty means AWS's default configuration.")
    access_key_id: str = Field("", description="Access key; empty means AWS's default chain, such as a role.")
    secret_access_key: SecretStr = Field(NONE, description="Secret of the access key.")
    session_token: SecretStr = Field(NONE, description="Session token of a temporary access key.")

    @property
    def access(self) -> AwsAccess:
        """The endpoint, the region and the credentials."""
        return AwsAccess(
            self.endpoint_url,
            self.region,
            self.access_key_id,
            self.secret_access_key.get_secret_value(),
            self.session_token.get_secret_value(),
        )

    def key_of(self, name: str) -> str:
        """Return an object's key, given its key or its URL."""
        return name.removeprefix(f"s3://{self.bucket}/")

    def get_client(self) -> "S3Client":
        """Create a boto3 client for the bucket.

        Raises:
            blocks.landing.LandingUnavailable: the endpoint is not a URL, or AWS's own configuration cannot be read.
        """
        return s3_client(self.bucket, self.access)

    def get_queue_client(self) -> "SQSClient":
        """Create a boto3 client for the queue.

        Raises:
            blocks.s3_events.QueueUnusable: `queue_url` is not a URL, or AWS's own configuration cannot be read.
        """
        return sqs_client(self.queue_url, self.access)


class AirbyteConnection(Block):
    """An Airbyte server and the connections that the pipelines sync by default."""

    _block_type_name: ClassVar[str] = "Airbyte Connection"
    _block_type_slug: ClassVar[str] = "airbyte-connection"
    _description: ClassVar[str] = "An Airbyte server's public API and the connections to sync."

    server_url: str = Field(description="Base URL of the public API, e.g. http://localhost:8006/api/public/v1.")
    connection_id: str = Field(description="UUID of the connection to sync if a flow names none.")
    connection_ids: list[str] = Field([], description="UUIDs of further connections to sync if a flow names none.")
    client_id: str = Field("", description="Client id of an Airbyte application; empty if none is needed.")
    client_secret: SecretStr = Field(NONE, description="Client secret for the client id.")
    sync_timeout_seconds: float = Field(3600, description="Seconds after which a sync is cancelled.")

    @field_validator("connection_ids", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Split a text at its commas: the setting of this name is such a text."""
        return [each for part in value.split(",") if (each := part.strip())] if isinstance(value, str) else value

    @property
    def connections(self) -> list[str]:
        """The UUIDs of all connections, each once."""
        chosen = self.connection_id != AIRBYTE_CONNECTION_ID_UNSET or not self.connection_ids
        return list(dict.fromkeys([*([self.connection_id] if chosen else []), *self.connection_ids]))

    def get_client(self) -> AirbyteClient:
        """Create a client for this server. Use it in a `with` block."""
        return AirbyteClient(self.server_url, self.client_id, self.client_secret)


class SnowflakeConnection(Block):
    """A Snowflake account, database and schema, and a login by key pair, OAuth token or password."""

    _block_type_name: ClassVar[str] = "Snowflake Connection"
    _block_type_slug: ClassVar[str] = "snowflake-connection"
    _description: ClassVar[str] = (
        "The Snowflake database that dbt builds, and a login by key pair, OAuth token or password."
    )

    account: str = Field("", description="Account identifier, e.g. myorg-myaccount.")
    user: str = Field("", description="User that the pipelines log in as.")
    password: SecretStr = Field(NONE, description="Password; leave it empty with a key pair or an OAuth token.")
    private_key: SecretStr = Field(NONE, description="Private key, PEM or base64 DER; or give its path.")
    private_key_path: str = Field("", description="Path of the private key's PEM file, readable by the worker.")
    private_key_passphrase: SecretStr = Field(NONE, description="Passphrase of the private key, if it has one.")
    oauth_token: SecretStr = Field(NONE, description="OAuth access token, instead of a key pair or a password.")
    database: str = Field("", description="Database that holds raw and the marts.")
    schema_: str = Field("", alias="schema", description="Schema that dbt builds in.")
    warehouse: str = Field("", description="Virtual warehouse that runs the queries.")
    role: str = Field("", description="Role that the pipelines use.")
    host: str = Field("", description="Host, if it does not follow from the account, e.g. an emulator.")
    port: int | None = Field(None, description="Port; only together with a host.")
    protocol: str = Field("https", description="http only for an emulator.")

    def check(self) -> None:
        """Check that every value that a connection needs is set.

        Raises:
            ConfigurationError: it names all missing values.
        """
        needed = {
            "SNOWFLAKE_ACCOUNT": self.account,
            "SNOWFLAKE_USER": self.user,
            "SNOWFLAKE_DATABASE": self.database,
            "SNOWFLAKE_SCHEMA": self.schema_,
            "SNOWFLAKE_WAREHOUSE": self.warehouse,
            "SNOWFLAKE_ROLE": self.role,
            "SNOWFLAKE_PASSWORD (or SNOWFLAKE_PRIVATE_KEY, SNOWFLAKE_PRIVATE_KEY_PATH or SNOWFLAKE_OAUTH_TOKEN)": (
                self._ways_in()
            ),
        }
        if len(self._ways_in()) > 1:
            raise ConfigurationError(f"{' and '.join(self._ways_in())} are all set. Keep only one way to log in.")
        if missing := [name for name, value in needed.items() if not value]:
            raise ConfigurationError(
                f"dbt's target is Snowflake, but these are missing: {', '.join(missing)}. "
                "Set them, or save them in a SnowflakeConnection block and name its profile."
            )

    def _ways_in(self) -> list[str]:
        """Return the names of the login settings that are set."""
        ways = {
            "SNOWFLAKE_PASSWORD": self.password.get_secret_value(),
            "SNOWFLAKE_PRIVATE_KEY": self.private_key.get_secret_value(),
            "SNOWFLAKE_PRIVATE_KEY_PATH": self.private_key_path,
            "SNOWFLAKE_OAUTH_TOKEN": self.oauth_token.get_secret_value(),
        }
        return [name for name, value in ways.items() if value]

    def variables(self) -> dict[str, str]:
        """Return the environment from which dbt's target `snowflake` reads its connection."""
        values = {name.rstrip("_").upper(): getattr(self, name) for name in type(self).model_fields}
        texts = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in values.items()
        }
        own = {f"SNOWFLAKE_{name}": "" if text is None else str(text) for name, text in texts.items()}
        return {"SNOWFLAKE_QUERY_TAG": _query_tag(), **own}

    def get_connection(self, schema: str = "") -> "SnowflakeSession":
        """Open a session. It passes the key or password to the connector in the same way as dbt-snowflake.

        Args:
            schema: schema of the session; the one that dbt builds in by default.

        Raises:
            ConfigurationError: values are missing, or the private key cannot be read.
            snowflake.connector.errors.Error: Snowflake rejects the login or does not answer.
        """
        self.check()
        import snowflake.connector
        from dbt.adapters.snowflake.connections import SnowflakeCredentials

        try:
            authentication = SnowflakeCredentials(
                account=self.account,
                database=self.database,
                schema=self.schema_,
                user=self.user,
                password=self.password.get_secret_value() or None,
                private_key=self.private_key.get_secret_value() or None,
                private_key_path=self.private_key_path or None,
                private_key_passphrase=self.private_key_passphrase.get_secret_value() or None,
                authenticator="oauth" if self.oauth_token.get_secret_value() else None,
                token=self.oauth_token.get_secret_value() or None,
                host=self.host or None,
                port=self.port,
                protocol=self.protocol,
            ).auth_args()
        except (OSError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"Snowflake's private key cannot be read ({type(error).__name__}). Check SNOWFLAKE_PRIVATE_KEY or "
                "SNOWFLAKE_PRIVATE_KEY_PATH, and the passphrase: a PEM file of an RSA key is expected."
            ) from None
        return snowflake.connector.connect(
            account=self.account,
            database=self.database,
            schema=schema or self.schema_,
            warehouse=self.warehouse,
            role=self.role,
            login_timeout=30,
            network_timeout=60,
            session_parameters={"QUERY_TAG": _query_tag()},
            **authentication,
        )


class DbtConfig(Block):
    """The dbt project, its target, and the paths of its local data."""

    _block_type_name: ClassVar[str] = "dbt Config"
    _block_type_slug: ClassVar[str] = "dbt-config"
    _description: ClassVar[str] = "The dbt project, its target, and the files of the DuckDB warehouse."

    project_dir: Path = Field(description="Folder with dbt_project.yml and profiles.yml.")
    target: str = Field(description="Target of profiles.yml: dev (DuckDB) or snowflake.")
    lake_dir: Path = Field(description="Raw Parquet files, one folder for each stream (target dev).")
    warehouse_path: Path = Field(description="DuckDB file that dbt writes (target dev).")
    published_path: Path = Field(description="Tested copy of the warehouse, for readers (target dev).")
    freshness_threshold_hours: int = Field(description="Age in hours from which a source is stale.")
    executable: str = Field(
        "", description="Path of a dbt to run as a child process; empty runs dbt in the flow's process."
    )
    dbt_timeout_seconds: float = Field(3600, description="Seconds after which a dbt command is stopped.")
    warehouse_wait_seconds: float = Field(
        3600, description="Seconds to wait for another command that uses the warehouse."
    )

    def variables(self) -> dict[str, str]:
        """Return the environment that the dbt project reads, except for Snowflake's variables."""
        return {
            "LAKE_DIR": str(self.lake_dir.absolute()),
            "WAREHOUSE_PATH": str(plain_path(self.warehouse_path.absolute())),
            "FRESHNESS_THRESHOLD_HOURS": str(self.freshness_threshold_hours),
        }

    def engine(self) -> Engine:
        """Return the way to run dbt: as a child process or in this process.

        Raises:
            ConfigurationError: the executable does not exist or cannot be run.
        """
        return Child(self.executable) if self.executable else InProcess()


def landing_from(settings: Settings) -> S3Landing:
    """Create the block from the settings."""
    queue, region = settings.sensor_queue_url, settings.aws_default_region
    return _block_from(S3Landing, settings, "s3_", "aws_", queue_url=queue, region=region)


def airbyte_from(settings: Settings) -> AirbyteConnection:
    """Create the block from the settings."""
    return _block_from(AirbyteConnection, settings, "airbyte_")


def snowflake_from(settings: Settings) -> SnowflakeConnection:
    """Create the block from the settings. Values may be missing."""
    return _block_from(SnowflakeConnection, settings, "snowflake_")


def dbt_from(settings: Settings) -> DbtConfig:
    """Create the block from the settings."""
    return _block_from(DbtConfig, settings, "dbt_", "")


def _block_from(system: type[System], settings: Settings, *prefixes: str, **others: str) -> System:
    """Create a block from the settings that are named like its fields, after one of the prefixes."""
    names = [field.alias or name for name, field in system.model_fields.items()]
    known = Settings.model_fields
    found = {name: getattr(settings, at + name) for at in prefixes for name in names if at + name in known}
    return system(**found, **others)


def _query_tag() -> str:
    """Return the query tag in Snowflake's query history: the id of the flow run, if there is one."""
    return f"prefect flow run {flow_run.id}" if flow_run.id else ""

"""The configuration of each type of destination. The fields are those of Airbyte's connectors."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    SecretStr,
    SerializationInfo,
    Tag,
    model_validator,
)

MASK = "*" * 10  # callers see this instead of a secret, as in Airbyte
REVEAL = {"reveal": True}  # serialization context that dumps secrets unmasked, for the store and the worker


def _serialize_secret(secret: SecretStr, info: SerializationInfo) -> str:
    return secret.get_secret_value() if info.context == REVEAL else MASK


Secret = Annotated[SecretStr, PlainSerializer(_serialize_secret)]


class _Configuration(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


class LakeConfiguration(_Configuration):
    """`destination_path` is a folder below the mock's lake folder; "" means the lake folder itself."""

    destinationType: Literal["duckdb"] = "duckdb"
    destination_path: str = Field(default="", max_length=1000)

    @model_validator(mode="after")
    def _stays_in_the_lake(self) -> "LakeConfiguration":
        path = Path(self.destination_path)
        if path.is_absolute() or ".." in path.parts or not self.destination_path.isprintable():
            raise ValueError(f"destination_path must be a folder below the lake, not {self.destination_path!r}")
        if any(len(part.encode()) > 255 for part in path.parts):
            raise ValueError("destination_path contains a folder name of more than 255 bytes")
        return self

    def place(self, lake_dir: Path, stream: str) -> str:
        return str(lake_dir / self.destination_path / stream)


class Password(_Configuration):
    auth_type: Literal["Username and Password"] = "Username and Password"
    password: Secret


class KeyPair(_Configuration):
    """`private_key` is PEM."""

    auth_type: Literal["Key Pair Authentication"] = "Key Pair Authentication"
    private_key: Secret
    private_key_password: Secret | None = None


class SnowflakeConfiguration(_Configuration):
    """`host` is the account's host name. A scheme and a port are optional: `http://127.0.0.1:8084` is the emulator.

    The mock keeps its record of loaded files in `raw_data_schema`. `cdc_deletion_mode` applies to a deduplicated
    stream's rows with `_ab_cdc_deleted_at`; the default is a hard delete. The fields after it have no effect.
    """

    destinationType: Literal["snowflake"] = "snowflake"
    host: str = Field(pattern=r"^(https?://)?[A-Za-z0-9._-]+(:\d{1,5})?$")
    role: str
    warehouse: str
    database: str
    schema_: str = Field(alias="schema")
    username: str
    credentials: Password | KeyPair
    raw_data_schema: str = "airbyte_internal"
    cdc_deletion_mode: Literal["Hard delete", "Soft delete"] | None = None
    jdbc_url_params: str | None = None
    disable_type_dedupe: bool | None = None
    retention_period_days: int | None = None
    use_merge_for_upsert: bool | None = None

    def address(self) -> tuple[str, str, int]:
        """Return protocol, host and port."""
        url = urlsplit(self.host if "://" in self.host else f"https://{self.host}")
        return url.scheme, url.hostname or "", url.port or (443 if url.scheme == "https" else 80)

    def place(self, _lake_dir: Path, stream: str) -> str:
        return ".".join((self.database, self.schema_, stream)).upper() + f" at {self.host}"


def _type(configuration: Any) -> str:
    """Return the type's tag. The lake is the default; an unknown type is validated as a lake, too."""
    if isinstance(configuration, dict):
        return "snowflake" if configuration.get("destinationType") == "snowflake" else "duckdb"
    return "snowflake" if isinstance(configuration, SnowflakeConfiguration) else "duckdb"


DestinationConfiguration = Annotated[
    Annotated[LakeConfiguration, Tag("duckdb")] | Annotated[SnowflakeConfiguration, Tag("snowflake")],
    Discriminator(_type),
]
# From Airbyte's connector registry.
DEFINITIONS = {
    "duckdb": UUID("94bd199c-2ff0-4aa2-b98e-17f0acb72610"),
    "snowflake": UUID("424892c4-daac-4491-b35d-c6688ba547ba"),
}


def restore_secrets(after: Any, before: Any) -> Any:
    """Restore the secrets that a caller received masked and sent back."""
    if after == MASK:
        return before
    if isinstance(after, dict) and isinstance(before, dict):
        return {name: restore_secrets(value, before.get(name)) for name, value in after.items()}
    return after

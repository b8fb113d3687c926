"""Settings of the emulator: environment variables that begin with SNOWFLAKE_EMULATOR_. Flags override them."""

from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services import ports


class Settings(BaseSettings):
    """Where the emulator listens and keeps its data, and what it checks at a login. Unset values are not checked."""

    model_config = SettingsConfigDict(env_prefix="SNOWFLAKE_EMULATOR_", env_ignore_empty=True, extra="ignore")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(ports.SNOWFLAKE, description="port to listen on")
    data: Path = Field(Path("snowflake-data"), description="folder for databases and stages, which survive restarts")

    account: str = Field("", description="name of the only account")
    role: str = Field("", description="the user's only role")
    database: str = Field("", description="database to create at the start; by default, each login creates its own")
    user: str = Field("", description="the only user who may log in; needs a password, public key or OAuth token, too")
    password: SecretStr | None = None
    public_key: str = Field("", description="public key (PEM) of the user's key pair")
    oauth_token: SecretStr | None = None

    @model_validator(mode="after")
    def _a_user_has_a_way_in(self) -> "Settings":
        ways = self.password or self.public_key or self.oauth_token
        if bool(self.user) != bool(ways):
            raise ValueError(
                "set SNOWFLAKE_EMULATOR_USER together with SNOWFLAKE_EMULATOR_PASSWORD, SNOWFLAKE_EMULATOR_PUBLIC_KEY "
                "or SNOWFLAKE_EMULATOR_OAUTH_TOKEN, or none of the four"
            )
        return self

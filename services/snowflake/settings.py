"""Settings of the emulator: environment variables that begin with SNOWFLAKE_EMULATOR_, overridden by flags."""

from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where the emulator listens and keeps its data, and what a login must bring; what is unset is not asked for."""

    model_config = SettingsConfigDict(env_prefix="SNOWFLAKE_EMULATOR_", env_ignore_empty=True, extra="ignore")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8085, description="port to listen on")
    data: Path = Field(Path("snowflake-data"), description="folder of databases and stages, kept over restarts")

    account: str = Field("", description="the one account there is")
    role: str = Field("", description="the one role that the user has")
    database: str = Field("", description="the database there is at first; unset: a login makes the one it names")
    user: str = Field("", description="user who may log in; needs a password, public key or OAuth token beside it")
    password: SecretStr | None = None
    public_key: str = Field("", description="public half (PEM) of the key pair that the user may log in with")
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

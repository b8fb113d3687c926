"""Settings of the guard, the same for each server: environment variables that begin with GUARD_."""

from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.guard.rules import Rules, names


class GuardSettings(BaseSettings):
    """The names that a server has beside 127.0.0.1 and localhost, and how large a body may be."""

    model_config = SettingsConfigDict(env_prefix="GUARD_", env_ignore_empty=True, extra="ignore")

    names: str = Field(default="", description="host names that services use for each other, separated by commas")
    allowed_hosts: str = Field(default="", description="further host names, of a proxy for example")
    max_body_mb: float | None = Field(
        default=None, gt=0, description="megabytes in a request's body, decompressed; default: the server's own limit"
    )

    def rules(self, **more: Any) -> Rules:
        """Return the rules of a server with these names; `more` are the other arguments of `Rules`."""
        return Rules(names(f"{self.names},{self.allowed_hosts}"), names(self.allowed_hosts), **more)

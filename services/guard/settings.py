"""Settings of the guard for all servers: environment variables that begin with GUARD_."""

from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.guard.rules import Rules, names


class GuardSettings(BaseSettings):
    """The names that a server has in addition to 127.0.0.1 and localhost, and the size limit of a body.

    Raises:
        SystemExit: a value is invalid. The message names the variable.
    """

    model_config = SettingsConfigDict(env_prefix="GUARD_", env_ignore_empty=True, extra="ignore")

    names: str = Field(default="", description="host names that services use for each other, separated by commas")
    allowed_hosts: str = Field(default="", description="more host names, such as a proxy's")
    max_body_mb: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="limit of a request's body in megabytes, decompressed; default: the server's own",
    )

    def __init__(self) -> None:
        try:
            super().__init__()
        except ValidationError as error:
            wrong = error.errors()[0]
            name = f"GUARD_{str(wrong['loc'][0]).upper()}"
            raise SystemExit(f"{name} is {wrong['input']!r}: {wrong['msg']}. Correct it, or unset it.") from None

    def rules(self, **more: Any) -> Rules:
        """Return the rules for a server with these names. `more` are the other arguments of `Rules`."""
        return Rules(names(f"{self.names},{self.allowed_hosts}"), names(self.allowed_hosts), **more)

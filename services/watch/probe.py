"""The input of every probe: connections, the time, and the open incidents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blocks.incidents import Incident, State
from blocks.landing import AwsAccess
from blocks.names import Names
from blocks.settings import Settings
from services.watch.causes import Finding
from services.watch.prefect_api import Prefect

Probe = Callable[["Facts"], list[Finding]]


@dataclass
class Facts:
    """The input of one check of the watch.

    Args:
        prefect: client for the server.
        settings: the environment's.
        names: the names that the platform uses on the server.
        profile: name of the saved blocks; "" if connections come from the environment.
        state: what earlier checks found.
        now: when this check began.
    """

    prefect: Prefect
    settings: Settings
    names: Names
    profile: str
    state: State
    now: datetime

    def open(self, probe: str) -> list[Incident]:
        """Return the open incidents of a probe."""
        return [each for each in self.state.incidents.values() if each.probe == probe]

    def values(self, kind: str, own: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a connection's values: from the profile's block of that kind, or `own` without a profile.

        Raises:
            services.watch.prefect_api.NoAnswer: Prefect's server does not answer.
        """
        return (self.prefect.block(kind, self.profile) or {}) if self.profile else own

    def landing(self) -> tuple[str, AwsAccess]:
        """Return the landing bucket and its credentials."""
        own = self.settings
        values = self.values(
            "s3-landing",
            {
                "bucket": own.s3_bucket,
                "endpoint_url": own.s3_endpoint_url,
                "region": own.aws_default_region,
                "access_key_id": own.aws_access_key_id,
                "secret_access_key": own.aws_secret_access_key.get_secret_value(),
                "session_token": own.aws_session_token.get_secret_value(),
            },
        )
        names = ("endpoint_url", "region", "access_key_id", "secret_access_key", "session_token")
        return str(values.get("bucket") or ""), AwsAccess(*(str(values.get(name) or "") for name in names))

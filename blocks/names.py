"""The names of the platform's objects on a Prefect server. This module needs only the standard library.

Compose's `prefect-server` and the embedded server hold one platform, whose names are plain. On any other server, each
name has a namespace, so that platforms and people who share the server do not share names.
"""

import platform
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

OWN_SERVER = "prefect-server"
PREFECT_YAML = "prefect.yaml"
"""Tag of the deployments in prefect.yaml. Deployments that a person created do not have it."""

SLOT = "dbt-warehouse"
RAW_SCHEMA = "RAW"
"""The schema in Snowflake into which Airbyte loads. dbt knows it by the name of the source in sources.yml."""


@dataclass(frozen=True)
class Names:
    """Names within a namespace. With an empty namespace, they are plain."""

    namespace: str = ""

    @classmethod
    def of(cls, profile: str, url: str, chosen: str = "") -> Self:
        """Return the names of a profile's platform on the server with this URL.

        Args:
            profile: name of the profile, which is the default namespace.
            url: PREFECT_API_URL.
            chosen: PREFECT_NAMESPACE.
        """
        return cls(chosen or ("" if is_own(url) else profile))

    def name(self, plain: str) -> str:
        """Return the name of a work pool, a limit or a deployment."""
        return f"{self.namespace}-{plain}" if self.namespace else plain

    def plain(self, name: str) -> str:
        """Remove the namespace from a name that `name` returned."""
        return name.removeprefix(self.name(""))

    def deployment(self, plain: str) -> str:
        """Return the full name, `flow/deployment`, of a deployment that prefect.yaml calls `plain`."""
        flow, slash, name = plain.rpartition("/")
        return f"{flow}{slash}{self.name(name)}"

    def title(self, plain: str) -> str:
        """Return the name of an automation."""
        return f"{plain} ({self.namespace})" if self.namespace else plain

    def blocks(self, profile: str) -> str:
        """Return the name of a profile's blocks: the profile's name, after the namespace if they differ."""
        return profile if profile in (self.namespace, "") else self._small(profile)

    def artifact(self, plain: str) -> str:
        """Return the key of an artifact."""
        return self._small(plain)

    def asset(self, layer: str, name: str) -> str:
        """Return the key of an asset. `layer` is `raw` for a stream, `dbt` for a node, or `published` for a table."""
        return f"{layer}://{self.namespace or 'platform'}/{name.lower()}"

    def _small(self, plain: str) -> str:
        """Return a name with only lower-case letters, digits and hyphens."""
        return f"{variable(self.namespace).replace('_', '-')}-{plain}" if self.namespace else plain

    @property
    def tag(self) -> str:
        """Tag of the platform's deployments and of their runs."""
        return f"{PREFECT_YAML} of {self.namespace}" if self.namespace else PREFECT_YAML

    @property
    def slot(self) -> str:
        """Name of the concurrency limit that lets one dbt at a time write to the warehouse."""
        return self.name(SLOT)


def alerts_block(blocks: str) -> str:
    """Return the name of the Webhook block that sends a profile's alerts, given the name of the profile's blocks."""
    return f"{blocks}-alerts"


def heartbeat_block(blocks: str) -> str:
    """Return the name of the Webhook block that is called after each successful run."""
    return f"{blocks}-heartbeat"


def is_own(url: str) -> bool:
    """Return whether a URL is that of the server in the platform's own Compose project."""
    return urlsplit(url).hostname == OWN_SERVER


def ui(api: str) -> str:
    """Return the address of the UI for a Prefect API. Prefect Cloud has its UI on another host."""
    parts = urlsplit(api)
    if workspace := re.fullmatch(r"/api/accounts/([\w-]+)/workspaces/([\w-]+)/?", parts.path):
        host = (parts.hostname or "").replace("api.", "app.", 1)
        return f"{parts.scheme}://{host}/account/{workspace[1]}/workspace/{workspace[2]}"
    return api.rstrip("/").removesuffix("/api")


def owner(clone: Path) -> str:
    """Return the default of PREFECT_OWNER for a clone: the machine and the folder."""
    return f"{platform.node()}:{clone}"


def main_deployment(flow: str) -> str:
    """Return the plain name of a flow's main deployment, e.g. `full-pipeline`. A deployment's name is unchanged."""
    return flow.replace("_", "-")


def variable(name: str) -> str:
    """Convert a name to a valid name of a Prefect variable: only lower-case letters, digits and underscores."""
    plain = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
    return plain if plain == name else f"{plain}_{sha256(name.encode()).hexdigest()[:6]}"

"""The names of the platform's things on a Prefect server; computed here alone, with the standard library alone.

A server of the platform's own, Compose's `prefect-server` and the embedded one, holds one platform, with plain names.
On any other server each name carries a namespace, so that platforms and people who share the server share no name.
"""

import platform
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

OWN_SERVER = "prefect-server"
OURS = "prefect.yaml"
"""The tag of deployments that came from prefect.yaml; those that a person made lack it."""

SLOT = "dbt-warehouse"


@dataclass(frozen=True)
class Names:
    """Names within a namespace; an empty one leaves them as they are."""

    namespace: str = ""

    @classmethod
    def of(cls, profile: str, url: str, chosen: str = "") -> Self:
        """The names that a profile's platform has on the server with this URL.

        Args:
            profile: name of the profile, which is the namespace where none is chosen.
            url: PREFECT_API_URL.
            chosen: PREFECT_NAMESPACE.
        """
        return cls(chosen or ("" if is_own(url) else profile))

    def name(self, plain: str) -> str:
        """Return the name of a work pool, a limit or a deployment."""
        return f"{self.namespace}-{plain}" if self.namespace else plain

    def plain(self, name: str) -> str:
        """Return what `name` made a name of."""
        return name.removeprefix(self.name(""))

    def deployment(self, plain: str) -> str:
        """The full name, `flow/deployment`, of a deployment that prefect.yaml calls `plain`."""
        flow, slash, name = plain.rpartition("/")
        return f"{flow}{slash}{self.name(name)}"

    def title(self, plain: str) -> str:
        """The name of an automation."""
        return f"{plain} ({self.namespace})" if self.namespace else plain

    def blocks(self, profile: str) -> str:
        """Return the name of a profile's blocks: the profile's, behind the namespace where that is another."""
        return profile if profile in (self.namespace, "") else self._small(profile)

    def artifact(self, plain: str) -> str:
        """Return the key of an artifact."""
        return self._small(plain)

    def asset(self, layer: str, name: str) -> str:
        """Return the key of an asset: of a `raw` stream, a `dbt` node, or what is `published`."""
        return f"{layer}://{self.namespace or 'platform'}/{name.lower()}"

    def _small(self, plain: str) -> str:
        """Return a name of small letters, digits and - alone."""
        return f"{variable(self.namespace).replace('_', '-')}-{plain}" if self.namespace else plain

    @property
    def tag(self) -> str:
        """The tag of every deployment that is the platform's, and of its runs."""
        return f"{OURS} of {self.namespace}" if self.namespace else OURS

    @property
    def slot(self) -> str:
        """The concurrency limit that lets one dbt at a time write the warehouse."""
        return self.name(SLOT)


def alerts_block(blocks: str) -> str:
    """The name of the Webhook block that a profile's alerts go through, by the name of the profile's blocks."""
    return f"{blocks}-alerts"


def heartbeat_block(blocks: str) -> str:
    """The name of the Webhook block that is called after each good run."""
    return f"{blocks}-heartbeat"


def is_own(url: str) -> bool:
    """Whether a URL leads to the server that Compose starts beside the platform."""
    return urlsplit(url).hostname == OWN_SERVER


def ui(api: str) -> str:
    """Return the address of the UI of a Prefect API's server; Prefect Cloud has its UI on a host of its own."""
    parts = urlsplit(api)
    if workspace := re.fullmatch(r"/api/accounts/([\w-]+)/workspaces/([\w-]+)/?", parts.path):
        host = (parts.hostname or "").replace("api.", "app.", 1)
        return f"{parts.scheme}://{host}/account/{workspace[1]}/workspace/{workspace[2]}"
    return api.rstrip("/").removesuffix("/api")


def owner(clone: Path) -> str:
    """Who registers things from a clone where PREFECT_OWNER does not say it: the machine and the folder."""
    return f"{platform.node()}:{clone}"


def main_deployment(flow: str) -> str:
    """Return the plain name of a flow's main deployment, e.g. `full-pipeline`; a deployment's own name stays."""
    return flow.replace("_", "-")


def variable(name: str) -> str:
    """The name of a Prefect variable for something of this name: small letters, digits and _ alone."""
    plain = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
    return plain if plain == name else f"{plain}_{sha256(name.encode()).hexdigest()[:6]}"

"""The Prefect server of a profile: one of the platform's own services, or another one."""

from base64 import b64encode

from commands.compose.command_line import Compose
from commands.compose.profile import Profile
from commands.compose.secrets import secret
from commands.prefect_api import Prefect


def prefect_of(compose: Compose) -> Prefect:
    """Return a client for the Prefect server of a platform's profile.

    Raises:
        CommandError: the server is one of the platform's own services, and is not running.
    """
    profile = compose.profile
    here = "prefect" in profile.services
    url = f"http://{compose.running('prefect-server')}/api" if here else profile.values["PREFECT_API_URL"]
    return Prefect(url, authorization(profile), profile.names, profile.make("ps"), profile.values.get("CA_FILE", ""))


def authorization(profile: Profile) -> dict[str, str]:
    """Return the Authorization header for the profile's Prefect server; {} if the profile has no credentials."""
    if key := secret(profile, "PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    user = secret(profile, "PREFECT_API_AUTH_STRING")
    return {"Authorization": f"Basic {b64encode(user.encode()).decode()}"} if user else {}

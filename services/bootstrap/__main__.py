"""Register work pools, limits, blocks, deployments and automations: `python -m services.bootstrap --profile local`."""

import argparse
import sys
from contextlib import suppress
from datetime import UTC, datetime
from json import JSONDecodeError

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from blocks import connections, saved_blocks
from blocks.errors import ConfigurationError, PlatformError, remedy
from blocks.host import through_proxy
from blocks.names import owner
from blocks.settings import Settings
from services.bootstrap.drift import Platform
from services.bootstrap.pages import ask
from services.bootstrap.plan import lines, models, registration
from services.bootstrap.prefect_yaml import PROJECT
from services.watch import silence
from services.watch.prefect_api import EVENTS

API_URL = (
    "Correct PREFECT_API_URL. A server's API URL ends with /api; Prefect Cloud's is "
    "https://api.prefect.cloud/api/accounts/ACCOUNT/workspaces/WORKSPACE."
)
CHANGES = 3
"""The exit code of `--plan --brief` if something would change."""


def main() -> int:
    """Bring the server at PREFECT_API_URL up to date. Exit with 1 if that fails."""
    parser = argparse.ArgumentParser(prog="python -m services.bootstrap", description=main.__doc__)
    parser.add_argument("--profile", required=True, help="name to save the environment's connections under")
    parser.add_argument("--plan", action="store_true", help="print what would change, and change nothing")
    parser.add_argument(
        "--brief", action="store_true", help="plan without the models; exit with 3 if there are changes"
    )
    parser.add_argument("--models", action="store_true", help="compare only the models, which needs no server")
    parser.add_argument("--takeover", action="store_true", help="take over what another clone registered")
    options = parser.parse_args()
    if options.models:
        return _models()
    do = _plan if options.plan else _apply
    try:
        with get_client(sync_client=True) as client:
            return do(platform(client, options.profile, options.takeover), options.brief)
    except (PlatformError, PrefectHTTPStatusError, httpx.TransportError, JSONDecodeError) as error:
        what = "The plan failed" if options.plan else f"The profile {options.profile} was not registered"
        print(f"{what}: {_why(error)}", file=sys.stderr)
        return 1


def _why(error: Exception) -> str:
    """Return the error's text, with what to check if no Prefect server answers."""
    url = PREFECT_API_URL.value()
    if isinstance(error, httpx.TransportError):
        helps = remedy(str(error)) or f"Check PREFECT_API_URL, the network, and any proxy.{through_proxy(url)}"
        return f"Prefect does not answer at {url}: {error}. {helps}"
    if isinstance(error, JSONDecodeError):
        return f"{url} answers, but not like Prefect's API. It may be a web page. {API_URL}"
    if isinstance(error, PrefectHTTPStatusError):
        status = error.response.status_code
        if status in (401, 403):
            return f"Prefect at {url} does not accept the credentials ({status}). Check the secrets of the profile."
        if status == 404:
            return f"Prefect's API is not at {url} ({status}). {API_URL}"
        if status == 429 or status >= 500:
            return f"Prefect at {url} is not available: it keeps answering {status}. Check its log, then try again."
    return str(error)


def platform(client: SyncPrefectClient, profile: str, takeover: bool = False) -> Platform:
    """Return the platform of a profile, with the settings of this environment."""
    settings = Settings()
    registrant, names = settings.prefect_owner or owner(PROJECT), connections.names(profile)
    return Platform(client, names, profile, registrant, takeover, scheduled=settings.automatic_runs)


def _plan(platform: Platform, brief: bool) -> int:
    settings = Settings()
    blocks, others = registration(platform, settings)
    for line in lines(blocks, others, settings):
        print(line, flush=True)
    if brief:
        return CHANGES if blocks or others else 0
    return _models()


def _models() -> int:
    try:
        for line in models(Settings()):
            print(line, flush=True)
    except ConfigurationError as error:
        print(f"The models cannot be compared: {error}", file=sys.stderr)
        return 1
    except PlatformError as error:
        # Before the first load, raw does not have the tables whose columns the models look up.
        print(f"Models: they cannot be compared until raw has every table that they read. {error}", flush=True)
    return 0


def _apply(platform: Platform, _: bool) -> int:
    registration(platform, Settings())  # raises NotOurs before anything is changed
    # The watch starts later. Without this event, the server could report it as silent on a slow machine.
    with suppress(PrefectHTTPStatusError):
        ask(platform.client, "POST", EVENTS, [silence.heartbeat_event(platform.names, datetime.now(UTC))])
    options = ["--takeover"] if platform.takeover else []
    if saved_blocks.main(["--name", platform.blocks or "", *options]):
        return 1
    platform.apply(lambda line: print(line, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m services.bootstrap --profile local`: work pools, limits, blocks, deployments and automations."""

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
    "Correct PREFECT_API_URL: the API of a server ends with /api, and Prefect Cloud's is "
    "https://api.prefect.cloud/api/accounts/ACCOUNT/workspaces/WORKSPACE."
)
CHANGES = 3
"""What `--plan --brief` ends with where something would change."""


def main() -> int:
    """Bring the server that PREFECT_API_URL names up to date; 1 where that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m services.bootstrap", description=main.__doc__)
    parser.add_argument("--profile", required=True, help="name under which the environment's connections are saved")
    parser.add_argument("--plan", action="store_true", help="say what would change, and change nothing")
    parser.add_argument("--brief", action="store_true", help="plan without the models; ends with 3 for changes")
    parser.add_argument("--models", action="store_true", help="compare the models alone, which needs no server")
    parser.add_argument("--takeover", action="store_true", help="take over what another clone has registered")
    options = parser.parse_args()
    if options.models:
        return _models()
    do = _plan if options.plan else _apply
    try:
        with get_client(sync_client=True) as client:
            return do(platform(client, options.profile, options.takeover), options.brief)
    except (PlatformError, PrefectHTTPStatusError, httpx.TransportError, JSONDecodeError) as error:
        what = "There is no plan" if options.plan else f"The profile {options.profile} was not registered"
        print(f"{what}: {_why(error)}", file=sys.stderr)
        return 1


def _why(error: Exception) -> str:
    """The error, with what to check where no server answers, or not as one does that can serve."""
    url = PREFECT_API_URL.value()
    if isinstance(error, httpx.TransportError):
        helps = remedy(str(error)) or f"Check PREFECT_API_URL, the network, and any proxy.{through_proxy(url)}"
        return f"Prefect does not answer at {url}: {error}. {helps}"
    if isinstance(error, JSONDecodeError):
        return f"{url} answers, but not as Prefect's API does: perhaps it is a page. {API_URL}"
    if isinstance(error, PrefectHTTPStatusError):
        status = error.response.status_code
        if status in (401, 403):
            return f"Prefect at {url} does not accept the credentials ({status}). Check the secrets of the profile."
        if status == 404:
            return f"Prefect's API is not at {url} ({status}). {API_URL}"
        if status == 429 or status >= 500:
            return f"Prefect at {url} is not available: it keeps answering {status}. Look at its log, then try again."
    return str(error)


def platform(client: SyncPrefectClient, profile: str, takeover: bool = False) -> Platform:
    """The platform of a profile as this environment describes it."""
    settings = Settings()
    who, names = settings.prefect_owner or owner(PROJECT), connections.names(profile)
    return Platform(client, names, profile, who, takeover, scheduled=settings.automatic_runs)


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
        # Before the first load raw lacks the tables whose columns the models ask for.
        print(f"Models: they cannot be compared before raw has every table that they read. {error}", flush=True)
    return 0


def _apply(platform: Platform, _: bool) -> int:
    registration(platform, Settings())  # refuses before anything is changed
    # The watch starts after this: a server that has just started, on a slow machine, would take it to be silent.
    with suppress(PrefectHTTPStatusError):
        ask(platform.client, "POST", EVENTS, [silence.sign(platform.names, datetime.now(UTC))])
    options = ["--takeover"] if platform.takeover else []
    if saved_blocks.main(["--name", platform.blocks or "", *options]):
        return 1
    platform.apply(lambda line: print(line, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Check Prefect: the server, and whether it has what bootstrap registers."""

from collections.abc import Iterable, Iterator
from json import JSONDecodeError

from prefect import __version__, get_client
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from blocks.record import NotOurs
from blocks.saved_blocks import exposure_warning
from blocks.settings import Settings, make
from commands.doctor.finding import Finding
from services.bootstrap.__main__ import API_URL, platform
from services.bootstrap.drift import Change, Platform
from services.bootstrap.pages import pages
from services.bootstrap.plan import registration

APPLY = "`{}`, or `{} APPLY=1`, brings the server up to date."


def prefect(profile: str, settings: Settings) -> Iterable[Finding]:
    """Check that the server answers, has this client's version, and has the profile's blocks, deployments and workers.

    `make dev` has no profile and registers everything at each start, so nothing is compared there.
    """
    url = PREFECT_API_URL.value()
    with get_client(sync_client=True) as client:
        if failure := client.api_healthcheck():
            yield Finding("prefect answers", "fail", f"{url}: {failure}", f"Check that it runs. {API_URL}")
            return
        try:
            version = client.api_version()
            client.read_deployments(limit=1)
        except PrefectHTTPStatusError as error:
            yield Finding("prefect answers", "fail", f"{url}: {error.response.status_code}", _advice(error))
            return
        except JSONDecodeError:
            yield Finding("prefect answers", "fail", f"{url} answers, but not like Prefect's API", API_URL)
            return
        yield Finding("prefect answers", "ok", f"{url}")
        yield _versions(version)
        ours = platform(client, profile)
        if not profile:
            yield from _workers(ours)
            return
        try:
            blocks, others = registration(ours, settings)
        except NotOurs as error:
            yield Finding("prefect owner", "fail", str(error), "Nothing there is changed unless you confirm it.")
            return
        if warning := exposure_warning(settings):
            yield Finding("prefect password", "warn", warning, "Set a password for the server.")
        yield _drift("blocks", "as in the profile", blocks)
        yield _drift("deployments", "as in prefect.yaml", others)
        yield from _workers(ours)


def _advice(error: PrefectHTTPStatusError) -> str:
    if error.response.status_code in (401, 403):
        return "Correct PREFECT_API_AUTH_STRING (a server's user:password) or PREFECT_API_KEY (Prefect Cloud)."
    if error.response.status_code == 429 or error.response.status_code >= 500:
        return "The server, or a proxy in front of it, is temporarily unavailable. Check its log, then try again."
    return API_URL


def _versions(server: str) -> Finding:
    said = f"server {server}, client {__version__}"
    if server.split(".")[:2] == __version__.split(".")[:2]:
        return Finding("prefect versions", "ok", said)
    return Finding("prefect versions", "warn", said, "Run both from the same requirements.lock.")


def _drift(check: str, right: str, changes: list[Change]) -> Finding:
    if changes:
        return Finding(check, "fail", "; ".join(map(str, changes)), APPLY.format(make("up"), make("promote")))
    return Finding(check, "ok", right)


def _workers(ours: Platform) -> Iterator[Finding]:
    for pool in sorted(ours.pools):
        try:
            workers = list(pages(ours.client, f"/work_pools/{pool}/workers/filter", {}))
        except (ObjectNotFound, PrefectHTTPStatusError):
            continue  # the check of the deployments reports a missing pool
        if online := [each["name"] for each in workers if each["status"] == WorkerStatus.ONLINE.value]:
            yield Finding(f"workers of {pool}", "ok", ", ".join(online))
        else:
            yield Finding(f"workers of {pool}", "warn", "no worker is online", f"`{make('up')}` starts one.")

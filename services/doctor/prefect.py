"""Prefect: the server, and whether it holds what bootstrap gives it."""

from collections.abc import Iterable, Iterator
from json import JSONDecodeError

from prefect import __version__, get_client
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from blocks.record import NotOurs
from blocks.saved_blocks import exposed
from blocks.settings import Settings, make
from services.bootstrap.__main__ import API_URL, platform
from services.bootstrap.drift import Change, Platform
from services.bootstrap.pages import pages
from services.bootstrap.plan import registration
from services.doctor.finding import Finding

APPLY = "`{}`, or `{} APPLY=1`, brings the server up to date."


def prefect(profile: str, settings: Settings) -> Iterable[Finding]:
    """Whether the server answers, fits this client, and has the blocks, deployments and workers of the profile.

    `make dev` has no profile and registers everything whenever it starts, so nothing is compared there.
    """
    url = PREFECT_API_URL.value()
    with get_client(sync_client=True) as client:
        if failure := client.api_healthcheck():
            yield Finding("prefect answers", "fail", f"{url}: {failure}", f"Is it up? {API_URL}")
            return
        try:
            version = client.api_version()
            client.read_deployments(limit=1)
        except PrefectHTTPStatusError as error:
            yield Finding("prefect answers", "fail", f"{url}: {error.response.status_code}", _refused(error))
            return
        except JSONDecodeError:
            yield Finding("prefect answers", "fail", f"{url} answers, but not as Prefect's API does", API_URL)
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
            yield Finding("prefect owner", "fail", str(error), "Nothing of it is changed until you say so.")
            return
        if warning := exposed(settings):
            yield Finding("prefect password", "warn", warning, "Give the server a password.")
        yield _drift("blocks", "those of the profile", blocks)
        yield _drift("deployments", "those of prefect.yaml", others)
        yield from _workers(ours)


def _refused(error: PrefectHTTPStatusError) -> str:
    if error.response.status_code in (401, 403):
        return "Correct PREFECT_API_AUTH_STRING (a server's user:password) or PREFECT_API_KEY (Prefect Cloud)."
    if error.response.status_code == 429 or error.response.status_code >= 500:
        return "The server, or a proxy before it, is not available for the moment. Look at its log, then ask again."
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
            continue  # told among the deployments
        if online := [each["name"] for each in workers if each["status"] == WorkerStatus.ONLINE.value]:
            yield Finding(f"workers of {pool}", "ok", ", ".join(online))
        else:
            yield Finding(f"workers of {pool}", "warn", "none has asked for work lately", f"`{make('up')}` starts one.")

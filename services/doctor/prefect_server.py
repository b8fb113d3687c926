"""Prefect: the server, and whether it holds what bootstrap gives it."""

from collections.abc import Iterable, Iterator

from prefect import __version__, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from blocks.settings import Settings
from services.bootstrap import drift
from services.bootstrap.deployments import Declared, declared
from services.doctor.finding import Finding

APPLY = "`make promote PROFILE=… APPLY=1`, or `make up` again, brings the server up to date."


def prefect(profile: str, settings: Settings) -> Iterable[Finding]:
    """Whether the server answers, fits this client, and has the blocks, deployments and workers of the profile."""
    url, deployments = PREFECT_API_URL.value(), declared()
    with get_client(sync_client=True) as client:
        if failure := client.api_healthcheck():
            yield Finding("prefect answers", "fail", f"{url}: {failure}", "Is it up, and is PREFECT_API_URL right?")
            return
        try:
            version = client.api_version()
            client.read_deployments(limit=1)
        except PrefectHTTPStatusError as error:
            yield Finding("prefect answers", "fail", f"{url}: {error.response.status_code}", _refused(error))
            return
        yield Finding("prefect answers", "ok", f"{url}")
        yield _versions(version)
        yield _drift("blocks", "those of the profile", list(drift.blocks(profile, settings)))
        there = list(drift.deployments(client, profile, deployments))
        yield _drift("deployments", "those of prefect.yaml", there + list(drift.surroundings(client, deployments)))
        yield from _workers(client, deployments)


def _refused(error: PrefectHTTPStatusError) -> str:
    if error.response.status_code in (401, 403):
        return "Set PREFECT_API_AUTH_STRING (a server's user:password) or PREFECT_API_KEY (Prefect Cloud)."
    return "Is PREFECT_API_URL the URL of a Prefect API, with /api or the workspace at its end?"


def _versions(server: str) -> Finding:
    said = f"server {server}, client {__version__}"
    if server.split(".")[:2] == __version__.split(".")[:2]:
        return Finding("prefect versions", "ok", said)
    return Finding("prefect versions", "warn", said, "Run both from the same requirements.lock.")


def _drift(check: str, right: str, changes: list[drift.Change]) -> Finding:
    if changes:
        return Finding(check, "fail", "; ".join(map(str, changes)), APPLY)
    return Finding(check, "ok", right)


def _workers(client: SyncPrefectClient, deployments: list[Declared]) -> Iterator[Finding]:
    for pool in sorted({each.work_pool.name for each in deployments}):
        try:
            workers = client.read_workers_for_work_pool(pool)
        except (ObjectNotFound, PrefectHTTPStatusError):
            continue  # told among the deployments
        if online := [each.name for each in workers if each.status == WorkerStatus.ONLINE]:
            yield Finding(f"workers of {pool}", "ok", ", ".join(online))
        else:
            yield Finding(f"workers of {pool}", "warn", "none has asked for work lately", "`make up` starts one.")

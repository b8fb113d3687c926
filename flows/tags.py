"""Tags: those of tasks for Prefect's concurrency limits, and those of runs for the server's automations."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from prefect import Flow, State, get_client, tags
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run as this_run

from blocks.names import Names
from blocks.settings import code_version, namespace


def tagged(name: str) -> list[str]:
    """Return a task's tags. With a namespace, other users' limits on the same Prefect server do not match them."""
    return [Names(namespace()).name(name)]


@contextmanager
def tags_of_the_deployment() -> Iterator[None]:
    """Give subflow runs the platform's tag if this run has it from its deployment.

    Prefect does not pass on a deployment's tags, and the platform's automations match on this one.
    """
    platform_tag = Names(namespace()).tag
    with tags(*{platform_tag}.intersection(this_run.tags)):
        yield


def version_tags() -> list[str]:
    """Return tags with the version and commit of the image, e.g. `version:2027-01-31` and `commit:1f3a5b7c9d0e`."""
    version, commit = code_version()
    return [f"version:{version}", f"commit:{commit[:12]}"] if version else []


def tag_with_version(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - as Prefect calls it
    """Add the image's version tags to a run that starts. A run that a later image retries has the tags of both."""
    if new := missing_tags(flow_run.tags):
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, tags=flow_run.tags + new)


def missing_tags(present: Iterable[str]) -> list[str]:
    """Return the image's tags that a run does not have yet."""
    return [tag for tag in version_tags() if tag not in set(present)]

"""The tags of tasks, by which people limit how many run, and of subflow runs, by which the server watches them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from prefect import Flow, State, get_client, tags
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run as this_run

from blocks.names import Names
from blocks.settings import code_version, namespace


def tagged(name: str) -> list[str]:
    """Return a task's tags; in a namespace, such that no limit of others on the same Prefect server applies."""
    return [Names(namespace()).name(name)]


@contextmanager
def tags_of_the_deployment() -> Iterator[None]:
    """Give subflow runs the tag that a deployment's run has from it: Prefect does not, and the automations match it."""
    ours = Names(namespace()).tag
    with tags(*{ours}.intersection(this_run.tags)):
        yield


def version_tags() -> list[str]:
    """Return the tags that say which image's code runs, e.g. `version:2027-01-31` and `commit:1f3a5b7c9d0e`."""
    version, commit = code_version()
    return [f"version:{version}", f"commit:{commit[:12]}"] if version else []


def tag_with_version(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - as Prefect calls it
    """Give a run that starts the tags of the image's code; a run that a later image retries has those of both."""
    if new := missing_tags(flow_run.tags):
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, tags=flow_run.tags + new)


def missing_tags(there: Iterable[str]) -> list[str]:
    """Return the image's tags that a run does not have yet."""
    return [tag for tag in version_tags() if tag not in set(there)]

"""The tags of tasks, by which people limit how many run, and of subflow runs, by which the server watches them."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import tags
from prefect.runtime import flow_run

from blocks.names import Names
from blocks.settings import namespace


def tagged(name: str) -> list[str]:
    """Return a task's tags; in a namespace, such that no limit of others on the same Prefect server applies."""
    return [Names(namespace()).name(name)]


@contextmanager
def tags_of_the_deployment() -> Iterator[None]:
    """Give subflow runs the tag that a deployment's run has from it: Prefect does not, and the automations match it."""
    ours = Names(namespace()).tag
    with tags(*{ours}.intersection(flow_run.tags)):
        yield

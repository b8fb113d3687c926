"""Heartbeats of a run within a run, by which the server's automations see that its process is alive.

Prefect's own thread for them sleeps a second at a time. At a run's end Prefect waits for it, and so does the run around
it, for half a second on average. The thread here ends at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from threading import Event, Thread

from prefect.events import emit_event
from prefect.events.related import tags_as_related_resources
from prefect.runtime import flow_run
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

NAME = "prefect.flow-run.heartbeat"
_pause: ContextVar[int | None] = ContextVar("pause", default=None)
"""Seconds between two heartbeats; None where Prefect sends them."""


@contextmanager
def left_to_subflows() -> Iterator[None]:
    """Let the flows called here send their own `heartbeats`, as often as this run's are sent."""
    token = _pause.set(PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value())
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield
    finally:
        _pause.reset(token)


@contextmanager
def heartbeats() -> Iterator[None]:
    """Send this run's heartbeats until the block ends, if the run around it leaves that to this one."""
    if not (pause := _pause.get()):
        yield
        return
    ended = Event()
    thread = Thread(target=copy_context().run, args=(_send, pause, ended), name="heartbeats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()  # after a heartbeat that follows the run's end, the server would wait for the next one


def _send(pause: int, ended: Event) -> None:
    resource = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.name": flow_run.name or ""}
    tags = tags_as_related_resources(flow_run.tags)  # Prefect adds the tags of other runs than the event's own
    while not ended.is_set():
        emit_event(NAME, resource, related=tags)
        ended.wait(pause)

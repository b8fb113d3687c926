"""Heartbeats of subflow runs, which tell the server's automations that a run's process is alive.

Prefect has a thread of its own for heartbeats, which sleeps a second at a time. At the end of a run, Prefect waits for
that thread, so each subflow would cost its parent half a second on average. The thread here ends at once.
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
"""Seconds between two heartbeats, or None if Prefect sends them."""


@contextmanager
def left_to_subflows() -> Iterator[None]:
    """Let the flows that are called in this block send their own `heartbeats`, as often as this run sends its own."""
    token = _pause.set(PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value())
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield
    finally:
        _pause.reset(token)


@contextmanager
def heartbeats() -> Iterator[None]:
    """Send this run's heartbeats until the block ends, if its parent used `left_to_subflows`."""
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
        thread.join()  # if a heartbeat came after the run's end, the server would expect another one


def _send(pause: int, ended: Event) -> None:
    resource = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.name": flow_run.name or ""}
    tags = tags_as_related_resources(flow_run.tags)  # Prefect does not add the tags of the event's own run
    while not ended.is_set():
        emit_event(NAME, resource, related=tags)
        ended.wait(pause)

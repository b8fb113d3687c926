"""A run within a run says that its process is alive, and keeps nobody waiting at its end."""

import threading
import time
from collections.abc import Callable

import httpx
import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.runtime import flow_run
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from blocks.names import Names
from flows.heartbeats import NAME, heartbeats, left_to_subflows
from flows.tags import tags_of_the_deployment

PAUSE, DEADLINE = 30, 60


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "heartbeats"]


@flow
def child() -> tuple[str, list[str], int | None]:
    with heartbeats():
        return str(flow_run.id), threads(), PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()


@flow
def parent() -> tuple[str, list[str], int | None]:
    with tags_of_the_deployment(), left_to_subflows():
        return child()


def run_of(flow_to_run: Callable[..., object]) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.create_flow_run(flow_to_run, tags=[Names().tag])


def beats(server: str, run_id: str) -> list[list[str]]:
    """The tags of each heartbeat of a run that the server has."""
    chosen = {"filter": {"event": {"name": [NAME]}, "resource": {"id": [f"prefect.flow-run.{run_id}"]}}}
    events = httpx.post(f"{server}/api/events/filter", json=chosen, trust_env=False).raise_for_status().json()["events"]
    return [
        [one["prefect.resource.id"] for one in event["related"] if one["prefect.resource.role"] == "tag"]
        for event in events
    ]


def test_a_subflow_sends_heartbeats_that_have_the_platforms_tag_and_its_thread_ends_with_it(
    prefect_server: str,
) -> None:
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: PAUSE}):
        run_id, during, prefects = run_flow(parent, flow_run=run_of(parent))
    assert (during, prefects, threads()) == (["heartbeats"], None, [])
    deadline = time.monotonic() + DEADLINE
    while not (found := beats(prefect_server, run_id)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [f"prefect.tag.{Names().tag}" in tags for tags in found] == [True]


@pytest.mark.parametrize("pause", [PAUSE, None])
def test_a_run_of_its_own_leaves_heartbeats_to_prefect(prefect_server: str, pause: int | None) -> None:
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: pause}):
        _, during, prefects = run_flow(child, flow_run=run_of(child))
    assert (during, prefects) == ([], pause)

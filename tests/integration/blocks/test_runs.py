"""Which runs are of the same connection, and where a cursor's parked batches are shown."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun, State, StateType

from blocks.airbyte.errors import SyncFailed
from blocks.attempts import NO_SIGN
from blocks.batches import FilesMissing, OthersFailed
from blocks.dbt.errors import StaleSource
from blocks.errors import PlatformError
from flows.sensors.cursor import CursorStore
from flows.sensors.runs import _outcome, _same_connection, parked_key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"connection_ids": None, "profile": None}, True),
        ({"connection_ids": ["a", "b"]}, {"connection_ids": ["b", "c"]}, True),
        ({"connection_ids": ["a"]}, {"connection_ids": ["c"]}, False),
        ({"connection_ids": ["a"]}, {}, True),  # the profile's own may be this one
        ({"profile": "local"}, {"profile": "production"}, False),
        ({"profile": "local", "connection_ids": ["a"]}, {"connection_ids": ["a"]}, False),
    ],
)
def test_runs_take_the_same_connection_unless_their_parameters_say_otherwise(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    assert _same_connection(one, other) == same
    assert _same_connection(other, one) == same


def test_each_cursor_has_an_artifact_of_its_own_for_parked_batches() -> None:
    places = [
        CursorStore(None, "landing", prefix, pattern).place  # type: ignore[arg-type]
        for prefix in ("", "inbound/", "inbound/é/")
        for pattern in ("*", "a*", "a?", "inbound/*")
    ]
    keys = set(map(parked_key, places))
    assert len(keys) == len(places)
    assert all(re.fullmatch("parked-batches-[a-z0-9-]+", key) for key in keys)


NOW = datetime(2013, 1, 1, tzinfo=UTC)


def ended(kind: StateType, message: str, seconds_ago: int = 0) -> FlowRun:
    state = State[Any](type=kind, message=message, timestamp=NOW - timedelta(seconds=seconds_ago))
    return FlowRun(flow_id=uuid4(), state=state)


def test_a_run_whose_process_died_has_not_ended_while_the_server_may_put_it_back() -> None:
    assert _outcome(ended(StateType.CRASHED, f"{NO_SIGN} 90 s", seconds_ago=5), NOW) is None
    assert _outcome(ended(StateType.CRASHED, f"{NO_SIGN} 90 s", seconds_ago=120), NOW) is not None
    assert _outcome(ended(StateType.CRASHED, "status code 1", seconds_ago=5), NOW) is not None


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("error", "well", "again"),
    [
        (StaleSource("source raw.flights is stale"), True, True),
        (OthersFailed("another file is broken"), True, True),
        (SyncFailed("its own file is broken"), False, True),
        (FilesMissing("it is empty"), False, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_batch_is_done_with_once_its_files_are_published_whatever_else_fails(
    error: PlatformError, well: bool, again: bool
) -> None:
    @flow
    def fails() -> None:
        raise error

    state = fails(return_state=True)
    outcome = _outcome(ended(StateType.FAILED, state.message or ""), NOW)
    assert outcome is not None
    assert (outcome.well, outcome.again) == (well, again)


def test_no_error_tells_the_password_of_a_url() -> None:
    error = PlatformError(
        '"http://me:se/cret@127.0.0.1:1/b" or https://me:p@ss@host/a@b or s3://one/c:d@e http://f:1/g@h'
    )
    assert str(error) == '"http://***@127.0.0.1:1/b" or https://***@host/a@b or s3://one/c:d@e http://f:1/g@h'


def test_an_error_shows_the_control_characters_of_a_name_escaped() -> None:
    assert str(PlatformError("a\x1b[31mb\0 \u202e\ud800\nnext é 🛩")) == "a\\x1b[31mb\\x00 \\u202e\\ud800\nnext é 🛩"

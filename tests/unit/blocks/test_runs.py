"""Which runs are of the same connection, and where a cursor's parked batches are shown."""

import re
from typing import Any

import pytest

from blocks.cursor import CursorStore
from blocks.errors import PlatformError
from blocks.runs import _same_connection, parked_key


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


def test_no_error_tells_the_password_of_a_url() -> None:
    error = PlatformError(
        '"http://me:se/cret@127.0.0.1:1/b" or https://me:p@ss@host/a@b or s3://one/c:d@e http://f:1/g@h'
    )
    assert str(error) == '"http://***@127.0.0.1:1/b" or https://***@host/a@b or s3://one/c:d@e http://f:1/g@h'

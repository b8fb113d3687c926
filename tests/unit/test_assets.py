"""Prefect's assets have keys that Prefect takes, whatever streams, prefixes and tables are called."""

import pytest
from prefect.types.names import RESTRICTED_ASSET_CHARACTERS

from blocks.names import Names
from flows.assets import asset


@pytest.mark.parametrize("odd", [*RESTRICTED_ASSET_CHARACTERS, "ü", "a" * 600])
def test_a_name_that_prefect_does_not_take_in_a_key_is_taken_in_another_spelling(odd: str) -> None:
    assert asset(f"s3://landing/a{odd}b/orders").key.startswith("s3://landing/a")
    assert asset(Names().asset("raw", f"orders{odd}")).key.startswith("raw://platform/orders")
